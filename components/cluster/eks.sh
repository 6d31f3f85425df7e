# A machine of EKS joins by itself; only what is watched is ours.

watch_machine
