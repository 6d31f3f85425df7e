"""What machines run when they start first: settings as shell variables, then scripts.

Everybody on a machine can read it, so it names secrets and holds none.
"""

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
MOST_BYTES = 16_384  # what EC2 takes
_BOUNDARY = "etcetera-7f3a"  # any line that no script has


def script(settings: Mapping[str, str], parts: Sequence[str]) -> str:
    """A shell script of the named parts of this package.

    Raises:
        ValueError: a setting's name is none, or the script is larger than EC2 takes.
    """
    for name in settings:
        if not (name.isidentifier() and name.isupper()):
            raise ValueError(f"{name} is no name of a setting")
    text = "\n".join(
        [
            "#!/bin/bash",
            "# shellcheck disable=SC2016 # settings mean what they say",
            "set -euo pipefail",
            *(f"readonly {name}={shlex.quote(value)}" for name, value in settings.items()),
            *((_FOLDER / f"{part}.sh").read_text() for part in parts),
        ]
    )
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"user data has {len(text.encode())} bytes, EC2 takes {MOST_BYTES}")
    return text


def encoded(text: str) -> str:
    """As launch templates take it."""
    return base64.b64encode(text.encode()).decode()


def beside_others(text: str) -> str:
    """As a part among those that EKS adds."""
    parts = MIMEMultipart(boundary=_BOUNDARY)
    parts.attach(MIMEText(text, "x-shellscript", "us-ascii"))
    return parts.as_string()


def log_agent(group: str, *, figures: bool) -> str:
    """Configuration of the CloudWatch agent: logs of containers and of the start, and with
    `figures` those of memory and of the disks."""
    config: dict[str, Any] = {
        "agent": {"run_as_user": "root"},
        "logs": {
            "logs_collected": {
                "files": {
                    "collect_list": [
                        {
                            "file_path": "/var/log/containers/*.log",
                            "log_group_name": group,
                            "log_stream_name": "{instance_id}",
                            # One stream for each file; else only the newest file is read.
                            "publish_multi_logs": True,
                        },
                        {
                            "file_path": "/var/log/cloud-init-output.log",
                            "log_group_name": group,
                            "log_stream_name": "{instance_id}-start",
                        },
                    ]
                }
            }
        },
    }
    if figures:
        config["metrics"] = {
            "namespace": NAMESPACE,
            "append_dimensions": {"InstanceId": "${aws:InstanceId}"},
            "metrics_collected": {
                "mem": {"measurement": ["used_percent"], "metrics_collection_interval": 60},
                "disk": {
                    "measurement": ["used_percent"],
                    "metrics_collection_interval": 60,
                    "resources": [ROOT_DISK, STATE_DISK],
                    "drop_device": True,
                },
            },
        }
    return json.dumps(config)


NAMESPACE = "Etcetera/Machines"
ROOT_DISK, STATE_DISK = "/", "/var/lib/rancher"
KUBELET = json.dumps(
    {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        # A spot machine has two minutes; pods are told to end at once and get most of one.
        "shutdownGracePeriod": "60s",
        "shutdownGracePeriodCriticalPods": "10s",
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 3,
        "imageGCHighThresholdPercent": 75,
        "imageGCLowThresholdPercent": 60,
    }
)
