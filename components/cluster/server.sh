# The server: the cluster's state is on a volume of its own, so that another machine can take over.

mount_state() {
  local device=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${STATE_VOLUME/-/}
  retry 120 5 test -b "$device" # it is attached once the machine runs
  # mkfs refuses a disk that has a file system, should blkid have overlooked it.
  blkid "$device" >/dev/null || mkfs.xfs -q "$device"
  mkdir -p /var/lib/rancher
  grep -q ' /var/lib/rancher ' /etc/fstab ||
    printf '%s /var/lib/rancher xfs defaults,noatime,nofail,x-systemd.device-timeout=300 0 2\n' \
      "$device" >>/etc/fstab
  mountpoint -q /var/lib/rancher || mount /var/lib/rancher
}

# A node must know its password; this node is the same one on every machine.
keep_identity() {
  mkdir -p /var/lib/rancher/node /etc/rancher
  ln -sfnT /var/lib/rancher/node /etc/rancher/node
}

# Machines that were taken away do not come back: nobody else takes their nodes off the list.
forget_lost_nodes() {
  cat >/usr/local/sbin/forget-lost-nodes <<'SCRIPT'
#!/bin/bash
set -euo pipefail
ready='.status.conditions[?(@.type=="Ready")]'
/usr/local/bin/k3s kubectl get nodes --selector 'etcetera.exchange/machine!=server' \
  --output "jsonpath={range .items[*]}{.metadata.name} {$ready.status} {$ready.lastTransitionTime}{\"\n\"}{end}" |
  while read -r node status since; do
    if [[ $status != True ]] && (($(date +%s) - $(date -d "$since" +%s) > 1800)); then
      /usr/local/bin/k3s kubectl delete node "$node"
    fi
  done
SCRIPT
  chmod 755 /usr/local/sbin/forget-lost-nodes
  printf '[Service]\nType=oneshot\nExecStart=/usr/local/sbin/forget-lost-nodes\n' \
    >/etc/systemd/system/forget-lost-nodes.service
  printf '[Timer]\nOnBootSec=15min\nOnUnitActiveSec=15min\n[Install]\nWantedBy=timers.target\n' \
    >/etc/systemd/system/forget-lost-nodes.timer
  systemctl daemon-reload
  systemctl enable --now forget-lost-nodes.timer
}

mount_state
keep_identity
fetch_files "$AUTHORITY"
install_k3s
configure_k3s server
run_k3s server notify
forget_lost_nodes
watch_machine
