# What every machine does, whatever its role. The settings stand above as readonly variables.

say() { printf '%s\n' "$*" >&2; }

retry() { # times, seconds between, command...
  local left=$1 pause=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    if ((left == 0)); then
      say "gave up: $1"
      return 1
    fi
    sleep "$pause"
  done
}

# A secret is a JSON object of files: each is written for root's eyes alone. What is secret passes
# through pipes only, never through arguments, the environment or a log.
fetch_files() { # ARN of the secret
  local files
  files=$(retry 30 10 aws secretsmanager get-secret-value --region "$REGION" --secret-id "$1" \
    --query SecretString --output text)
  printf '%s' "$files" | python3 -c '
import json, os, pathlib, sys

for path, text in json.load(sys.stdin).items():
    file = pathlib.Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    fresh.replace(file)
'
}

# Logs of all containers, and on the server figures of disk and memory, go to CloudWatch.
watch_machine() {
  local folder=/opt/aws/amazon-cloudwatch-agent
  retry 10 15 dnf install -y -q amazon-cloudwatch-agent
  printf '%s' "$LOG_AGENT" >$folder/etc/etcetera.json
  $folder/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:$folder/etc/etcetera.json
}
