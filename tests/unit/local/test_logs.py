"""Decides that logs stay small and that quoting them tells no secret."""

from pathlib import Path

from infra.local.logs import rotate, tail


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("line\n")
    rotate(log, limit=100)
    assert [path.name for path in tmp_path.iterdir()] == ["web.log"]


def test_a_missing_log_is_no_error(tmp_path: Path) -> None:
    rotate(tmp_path / "web.log")


def test_rotation_keeps_a_few_files_and_the_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 20)
            rotate(log, limit=10, kept=3)
        writer.write(b"last")
    assert log.read_text() == "last"
    kept = [(tmp_path / f"web.log.{number}").read_text()[0] for number in (1, 2, 3)]
    assert kept == ["4", "3", "2"]
    assert not (tmp_path / "web.log.4").exists()
    assert (tmp_path / "web.log.1").stat().st_mode & 0o077 == 0


def test_the_tail_hides_secrets_and_the_passwords_inside_them(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text(
        "old\n" * 50 + "url postgres://app:s3cr%40t@db/x\npassword s3cr@t\ntoken abcdef\n"
    )
    text = tail(log, 3, redact=["postgres://app:s3cr%40t@db/x", "abcdef"])
    assert text == "    url [secret]\n    password [secret]\n    token [secret]"


def test_the_tail_of_nothing_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == ""
