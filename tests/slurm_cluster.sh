#!/bin/bash
# Runs a command next to a Slurm cluster of one node: munged, slurmctld and slurmd in namespaces of their own (mounts,
# processes, network), which end with the command. Called by test_slurm.py: slurm_cluster.sh FOLDER COMMAND...
set -euo pipefail
folder=$1; shift
if [[ -z ${IN_NAMESPACES:-} ]]; then
    exec env IN_NAMESPACES=1 unshare --mount --pid --net --uts --fork --kill-child --mount-proc "$0" "$folder" "$@"
fi
ip link set lo up
# Slurm opens its ports only if there is an address besides loopback's.
ip link add slurm0 type veth peer name slurm1
ip addr add 198.18.255.1/24 dev slurm0
ip link set slurm0 up
ip link set slurm1 up
hostname localhost    # a name that resolves
host=localhost
mkdir -p "$folder"/{munge,state,spool,log}
chmod 755 "$folder" "$folder"/*
# Job steps look for slurm.conf here; only these namespaces see it. The path is short, as those of sockets must be.
mkdir -p /etc/slurm 2>/dev/null || true
mount --bind "$folder" /etc/slurm
folder=/etc/slurm
dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 700 "$folder/munge"; chmod 600 "$folder/munge/key"
cat >"$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1
MinJobAge=300
MessageTimeout=60
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
slurmctld
slurmd -N "$host"
for _ in $(seq 600); do
    [[ $(sinfo -h -o %T 2>/dev/null) == idle ]] && break
    sleep 0.1
done
"$@"
