# Installs k3s and runs it as a service.

# The binary is that of the release if its checksum is in the release's list.
install_k3s() {
  local release=https://github.com/k3s-io/k3s/releases/download/${K3S_VERSION/+/%2B} folder
  if [[ -x /usr/local/bin/k3s && $(/usr/local/bin/k3s --version) == "k3s version $K3S_VERSION "* ]]; then
    return
  fi
  folder=$(mktemp -d)
  (
    cd "$folder"
    curl -fsSL --retry 20 --retry-all-errors --retry-max-time 600 --connect-timeout 10 \
      --remote-name "$release/k3s-arm64" --remote-name "$release/sha256sum-arm64.txt"
    grep ' k3s-arm64$' sha256sum-arm64.txt | sha256sum --check --strict --quiet -
  )
  install -m 755 "$folder/k3s-arm64" /usr/local/bin/k3s
  rm -r "$folder"
}

# What only the machine knows of itself is put beside what the stack says of all machines.
configure_k3s() { # the node's name
  local zone
  zone=$(cloud-init query v1.availability_zone)
  mkdir -p /etc/rancher/k3s/config.yaml.d /var/lib/rancher/k3s/agent/etc/kubelet.conf.d
  printf '%s\n' "$K3S_CONFIG" >/etc/rancher/k3s/config.yaml
  printf '%s\n' "$KUBELET_CONFIG" >/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-etcetera.conf
  cat >/etc/rancher/k3s/config.yaml.d/machine.yaml <<YAML
node-name: $1
node-label+:
  - topology.kubernetes.io/zone=$zone
  - topology.kubernetes.io/region=$REGION
YAML
}

run_k3s() { # server or agent, the kind of service as systemd knows it
  cat >/etc/systemd/system/k3s.service <<UNIT
[Unit]
Description=Kubernetes ($1)
Wants=network-online.target
After=network-online.target
RequiresMountsFor=/var/lib/rancher

[Service]
Type=$2
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s $1
# Pods go on running while k3s restarts.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable k3s
  systemctl restart k3s
}
