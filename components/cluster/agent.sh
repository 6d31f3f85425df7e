# An agent: joins the server if the server's authority is the one that the stack has made.

compose_token() {
  local folder=/etc/rancher/k3s
  (
    umask 077
    printf 'K10%s::node:%s\n' "$(sha256sum <$folder/server-ca.crt | cut -d ' ' -f 1)" \
      "$(<$folder/agent-password)" >$folder/token
  )
}

fetch_files "$JOIN"
compose_token
install_k3s
configure_k3s "$(cloud-init query v1.instance_id)"
run_k3s agent exec
watch_machine
