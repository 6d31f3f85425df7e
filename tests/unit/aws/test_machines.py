"""Decides what a machine does when it starts first, by running its script among stand-ins for the
commands of the cloud. That k3s takes its files and arguments is decided by k3s."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.cluster import user_data
from components.cluster.k3s import VERSION, agent_config, server_config

SENTINEL = "s3ntinel"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
BINARY = "#!/bin/sh\necho 'k3s version v1.35.5+k3s1 (0ff)'\n"
ROOTS = re.compile(r"(?<![\w/.])/(etc|var/lib|usr/local|opt|dev/disk)/")

STANDINS = {
    "aws": """
        [ "$(cat "$STATE/failures")" -gt 0 ] && {
            echo $(($(cat "$STATE/failures") - 1)) >"$STATE/failures"; exit 254; }
        cat "$STATE/secret.json" """,
    "curl": """
        while [ $# -gt 0 ]; do
            [ "$1" = --remote-name ] && cp "$STATE/release/${2##*/}" .
            shift
        done""",
    "blkid": '[ -e "$STATE/formatted" ]',
    "mkfs.xfs": 'touch "$STATE/formatted"',
    "mount": 'touch "$STATE/mounted"',
    "mountpoint": '[ -e "$STATE/mounted" ]',
    "cloud-init": """
        case $2 in
            v1.instance_id) echo i-0123;;
            v1.availability_zone) echo us-east-1a;;
        esac""",
    "dnf": "",
    "systemctl": "",
    "sleep": "",
    "amazon-cloudwatch-agent-ctl": "",
}


@dataclass
class Machine:
    """A folder in place of the file system, and stand-ins that write down how they are called."""

    root: Path
    state: Path

    def start(self, script: str) -> subprocess.CompletedProcess[str]:
        here = ROOTS.sub(lambda found: f"{self.root}/{found[1]}/", script)
        # The volume is a file here.
        body = here.replace("test -b", "test -e")
        return subprocess.run(
            ["/bin/bash", "-c", body],
            env={"PATH": f"{self.state}/bin:/usr/bin:/bin", "STATE": str(self.state)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def secret(self, files: dict[str, str]) -> None:
        placed = {
            ROOTS.sub(lambda found: f"{self.root}/{found[1]}/", p): t for p, t in files.items()
        }
        (self.state / "secret.json").write_text(json.dumps(placed))

    @property
    def calls(self) -> list[str]:
        log = self.state / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def __truediv__(self, path: str) -> Path:
        return self.root / path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    root, state = tmp_path / "root", tmp_path / "state"
    (state / "bin").mkdir(parents=True)
    (state / "release").mkdir()
    (state / "failures").write_text("0")
    for folder in ("etc/systemd/system", "usr/local/bin", "usr/local/sbin", "dev/disk/by-id"):
        (root / folder).mkdir(parents=True)
    (root / "etc/fstab").write_text("")
    agent = root / "opt/aws/amazon-cloudwatch-agent"
    (agent / "etc").mkdir(parents=True)
    (agent / "bin").mkdir()
    (root / "dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc").touch()
    for name, body in STANDINS.items():
        file = (agent if name.endswith("-ctl") else state) / "bin" / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >>"$STATE/calls"\n{body}\n')
        file.chmod(0o755)
    (state / "release/k3s-arm64").write_text(BINARY)
    digest = hashlib.sha256(BINARY.encode()).hexdigest()
    (state / "release/sha256sum-arm64.txt").write_text(
        f"{'0' * 64}  k3s-airgap-images-arm64.tar\n{digest}  k3s-arm64\n"
    )
    return Machine(root, state)


def server() -> str:
    return user_data.script(
        {
            "REGION": "us-east-1",
            "AUTHORITY": "arn:aws:secretsmanager:us-east-1:123456789012:secret:authority",
            "STATE_VOLUME": "vol-0abc",
            "K3S_VERSION": VERSION,
            "K3S_CONFIG": json.dumps(server_config(["192.0.2.7", "origin.example.com"])),
            "KUBELET_CONFIG": user_data.KUBELET,
            "LOG_AGENT": user_data.log_agent("logs", figures=True),
        },
        ["machine", "k3s", "server"],
    )


def agent(kind: str = "spot") -> str:
    return user_data.script(
        {
            "REGION": "us-east-1",
            "JOIN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:join",
            "K3S_VERSION": VERSION,
            "K3S_CONFIG": json.dumps(agent_config("10.20.0.5", kind)),
            "KUBELET_CONFIG": user_data.KUBELET,
            "LOG_AGENT": user_data.log_agent("logs", figures=False),
        },
        ["machine", "k3s", "agent"],
    )


SERVER_SECRET = {
    "/var/lib/rancher/k3s/server/tls/server-ca.crt": AUTHORITY,
    "/var/lib/rancher/k3s/server/tls/server-ca.key": f"{SENTINEL} key\n",
    "/etc/rancher/k3s/token": f"{SENTINEL}-token",
}
JOIN_SECRET = {
    "/etc/rancher/k3s/server-ca.crt": AUTHORITY,
    "/etc/rancher/k3s/agent-password": SENTINEL,
}


def files_with(root: Path, text: str) -> set[str]:
    return {
        str(file.relative_to(root))
        for file in root.rglob("*")
        if file.is_file() and text in file.read_text(errors="replace")
    }


def test_a_server_finds_its_authorities_and_starts_k3s(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    done = machine.start(server())
    assert done.returncode == 0, done.stderr
    for path, text in SERVER_SECRET.items():
        file = machine / path[1:]
        assert file.read_text() == text
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (machine / "usr/local/bin/k3s").read_text() == BINARY
    assert "ExecStart=" in (machine / "etc/systemd/system/k3s.service").read_text()
    assert "systemctl restart k3s" in machine.calls
    assert json.loads((machine / "etc/rancher/k3s/config.yaml").read_text())["tls-san"] == [
        "192.0.2.7",
        "origin.example.com",
    ]
    node = (machine / "etc/rancher/k3s/config.yaml.d/machine.yaml").read_text()
    assert "node-name: server\n" in node
    assert "topology.kubernetes.io/zone=us-east-1a" in node


def test_secrets_stay_in_the_files_that_they_are_for(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    done = machine.start(server())
    assert SENTINEL not in done.stdout + done.stderr
    assert SENTINEL not in "\n".join(machine.calls)
    assert files_with(machine.root, SENTINEL) == {
        "var/lib/rancher/k3s/server/tls/server-ca.key",
        "etc/rancher/k3s/token",
    }


def test_a_server_that_starts_anew_keeps_its_disk_and_its_identity(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    machine.start(server())
    (machine / "var/lib/rancher/node/password").write_text("mine")
    again = machine.start(server())
    assert again.returncode == 0, again.stderr
    assert sum(call.startswith("mkfs.xfs") for call in machine.calls) == 1
    assert sum(call.startswith("mount ") for call in machine.calls) == 1
    assert (machine / "etc/fstab").read_text().count("/var/lib/rancher") == 1
    assert (machine / "etc/rancher/node/password").read_text() == "mine"
    assert sum(call.startswith("curl") for call in machine.calls) == 1


def test_a_binary_that_is_not_the_releases_is_not_run(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    (machine.state / "release/k3s-arm64").write_text("#!/bin/sh\nsteal\n")
    done = machine.start(server())
    assert done.returncode != 0
    assert not (machine / "usr/local/bin/k3s").exists()
    assert "systemctl restart k3s" not in machine.calls


def test_a_list_without_the_binary_is_no_proof(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    (machine.state / "release/sha256sum-arm64.txt").write_text(f"{'0' * 64}  k3s-arm\n")
    assert machine.start(server()).returncode != 0
    assert not (machine / "usr/local/bin/k3s").exists()


def test_an_agent_trusts_only_the_authority_of_its_stack(machine: Machine) -> None:
    machine.secret(JOIN_SECRET)
    done = machine.start(agent())
    assert done.returncode == 0, done.stderr
    # As k3s writes it: a digest of the authority's file, a user and a password.
    digest = hashlib.sha256(AUTHORITY.encode()).hexdigest()
    token = machine / "etc/rancher/k3s/token"
    assert token.read_text() == f"K10{digest}::node:{SENTINEL}\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    config = json.loads((machine / "etc/rancher/k3s/config.yaml").read_text())
    assert config["server"] == "https://10.20.0.5:6443"
    assert config["node-taint"] == ["etcetera.exchange/workers=true:NoSchedule"]
    assert (
        "node-name: i-0123" in (machine / "etc/rancher/k3s/config.yaml.d/machine.yaml").read_text()
    )


def test_a_secret_that_cannot_be_read_yet_is_asked_for_again(machine: Machine) -> None:
    machine.secret(JOIN_SECRET)
    (machine.state / "failures").write_text("5")
    assert machine.start(agent()).returncode == 0
    assert sum(call.startswith("aws ") for call in machine.calls) == 6


def test_a_machine_without_its_secret_starts_nothing(machine: Machine) -> None:
    machine.secret(JOIN_SECRET)
    (machine.state / "failures").write_text("1000")
    done = machine.start(agent())
    assert done.returncode != 0
    assert "gave up: aws" in done.stderr
    assert "systemctl restart k3s" not in machine.calls


def test_nodes_whose_machine_is_lost_are_taken_off_the_list(machine: Machine) -> None:
    machine.secret(SERVER_SECRET)
    machine.start(server())
    nodes = "i-ready True 2020-01-01T00:00:00Z\ni-lost Unknown 2020-01-01T00:00:00Z\n"
    recent = subprocess.run(["date", "-u", "+%FT%TZ"], capture_output=True, text=True, check=True)
    nodes += f"i-young Unknown {recent.stdout}"
    k3s = machine / "usr/local/bin/k3s"
    k3s.write_text(
        f"""#!/bin/bash
echo "k3s $*" >>"$STATE/calls"
if [ "$2" = get ]; then printf '%s' '{nodes}'; fi
"""
    )
    subprocess.run(
        [machine / "usr/local/sbin/forget-lost-nodes"],
        env={**os.environ, "STATE": str(machine.state)},
        check=True,
    )
    deleted = [call for call in machine.calls if "delete node" in call]
    assert deleted == ["k3s kubectl delete node i-lost"]


@pytest.mark.parametrize("script", [server(), agent("agents"), agent("spot")])
def test_a_script_is_plain_text_that_bash_reads_and_ec2_takes(script: str) -> None:
    assert script.isascii()
    assert len(script) < user_data.MOST_BYTES
    subprocess.run(["/bin/bash", "-n", "-c", script], check=True)
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, "-s", "bash", "-"], input=script, text=True, check=True)


def test_a_setting_keeps_its_quotes_and_runs_nothing() -> None:
    value = 'it\'s $(touch /tmp/never) `x` "y" \\ ${HOME}'
    script = user_data.script({"VALUE": value}, []) + '\nprintf %s "$VALUE"'
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == value


def test_what_is_no_name_of_a_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        user_data.script({"x; reboot": ""}, [])


def test_a_script_that_ec2_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="EC2 takes"):
        user_data.script({"LARGE": "x" * user_data.MOST_BYTES}, [])


def test_machines_of_eks_get_the_script_beside_what_eks_adds() -> None:
    script = user_data.script({"REGION": "us-east-1", "LOG_AGENT": "{}"}, ["machine", "eks"])
    document = user_data.beside_others(script)
    assert document.startswith("Content-Type: multipart/mixed")
    assert script in document
    assert document == user_data.beside_others(script)
