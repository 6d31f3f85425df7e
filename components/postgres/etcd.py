"""Makes an etcd ask for a password. Run again, it changes nothing.

Who can write to etcd decides how PostgreSQL is run, so another user of this machine must not.
Configured by environment, since it is given the password: URL, PASSWORD.
"""

import os

import httpx

_FAILED_PRECONDITION = 9
"""gRPC's code of an etcd that is asked to log somebody in and needs no password yet."""


def secure(url: str, password: str) -> None:
    """Ensures that only root may use the etcd, with this password. Raises `httpx.HTTPError`."""
    with httpx.Client(base_url=f"{url}/v3/auth", timeout=10, trust_env=False) as client:
        login = client.post("/authenticate", json={"name": "root", "password": password})
        if login.is_success:
            return
        if login.json().get("code") != _FAILED_PRECONDITION:
            login.raise_for_status()
        # An earlier attempt may have been interrupted anywhere in here.
        client.post("/user/delete", json={"name": "root"})
        for path, body in (
            ("/user/add", {"name": "root", "password": password}),
            ("/role/delete", {"role": "root"}),
            ("/role/add", {"name": "root"}),
            ("/user/grant", {"user": "root", "role": "root"}),
            ("/enable", {}),
        ):
            answer = client.post(path, json=body)
            if not path.endswith("/delete"):
                answer.raise_for_status()


if __name__ == "__main__":
    secure(os.environ["URL"], os.environ["PASSWORD"])
