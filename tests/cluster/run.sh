#!/usr/bin/env bash
# Trains on the digits with Candle in jobs of four ranks (examples/candle-ranks) under Open MPI and under Slurm on this
# machine, kills a rank, restarts the job, and compares the merged footprint with the true energy of the scripted GPUs.
# Must run as root on Debian or Ubuntu: it installs slurm-wlm, munge and openmpi-bin, and starts the daemons of two
# virtual nodes. Not part of the gate.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in slurmctld slurmd munged mpirun; do
    command -v "$program" >/dev/null || missing=1
done
if [ -n "${missing:-}" ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-wlm munge openmpi-bin >/dev/null
fi
cargo build --quiet -p candle-ranks
ranks="${CARGO_TARGET_DIR:-$PWD/target}/debug/candle-ranks"
here="$PWD/tests/cluster"
work=$(mktemp -d)
chmod 755 "$work"
unset "${!SOOTPRINT@}" "${!SLURM@}" RANK WORLD_SIZE
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

stop() {
    for file in "$work"/*.pid; do
        [ -f "$file" ] && kill "$(cat "$file")" 2>/dev/null
    done
    sleep 1
    rm -rf "$work" || true
}
trap stop EXIT

failed=0
check() { # DIR NAME ATTEMPTS KILLED
    "$ranks" report "$1" >"$work/report.json"
    python3 "$here/check.py" "$1" "$work/report.json" "$2" "$3" "$4" >>"$work/table" || failed=1
}

# Prints the process id of a rank that trains in a folder: the first process with the folder as an argument.
rank_of() { # DIR RANK
    for process in /proc/[0-9]*; do
        grep -qz "^$1\$" "$process/cmdline" 2>/dev/null || continue
        grep -qzE "^(OMPI_COMM_WORLD_RANK|SLURM_PROCID)=$2\$" "$process/environ" 2>/dev/null || continue
        [ "$(readlink "$process/exe")" = "$ranks" ] && basename "$process" && return
    done
    return 1
}

kill_rank() { # DIR RANK. Waits until the rank has trained for a while.
    for _ in $(seq 200); do
        if [ -f "$1/checkpoint-$2" ] && pid=$(rank_of "$1" "$2"); then
            sleep 1
            kill -KILL "$pid"
            echo "killed rank $2"
            return
        fi
        sleep 0.1
    done
    echo "no rank $2 in $1" >&2
    return 1
}

mpi="mpirun --oversubscribe -np 4"
echo "== mpirun: four ranks"
mkdir "$work/mpi"
$mpi "$ranks" train "$work/mpi" 3 60
check "$work/mpi" "mpirun" 1 0

echo "== mpirun: rank 2 is killed, and the job restarted"
mkdir "$work/mpi-killed"
$mpi "$ranks" train "$work/mpi-killed" 4 60 resume & job=$!
kill_rank "$work/mpi-killed" 2
wait "$job" || true
sleep 3
$mpi "$ranks" train "$work/mpi-killed" 4 60 resume
# mpirun ends the other ranks, too.
check "$work/mpi-killed" "mpirun, a rank killed, resumed" 2 1

echo "== Slurm: two nodes"
mkdir -p /run/munge /var/lib/munge /var/log/munge "$work/state"
chown munge:munge /run/munge /var/lib/munge /var/log/munge
if ! munge -n >/dev/null 2>&1; then
    runuser -u munge -- /usr/sbin/munged --pid-file=/run/munge/munged.pid
    cp /run/munge/munged.pid "$work/munged.pid"
fi
host=$(hostname -s)
export SLURM_CONF="$work/slurm.conf"
cat >"$SLURM_CONF" <<CONF
ClusterName=sootprint
SlurmctldHost=$host
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP
CONF
mkdir "$work/spool-n1" "$work/spool-n2"
slurmctld
slurmd -N n1
slurmd -N n2
for _ in $(seq 100); do
    [ "$(sinfo -h -o %T | sort -u)" = idle ] && break
    sleep 0.3
done
sinfo

submit() { # DIR EPOCHS PASSES
    mkdir "$1"
    cat >"$1.sh" <<JOB
#!/bin/bash
#SBATCH --nodes=2 --ntasks=4 --requeue --open-mode=append --output=$1.log
srun --kill-on-bad-exit=1 $ranks train $1 $2 $3 resume
JOB
    sbatch --parsable "$1.sh"
}

finished() { # JOB. Starts a requeued job immediately, which would otherwise wait two minutes.
    for _ in $(seq 300); do
        state=$(scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')
        case "$state" in
            COMPLETED) return ;;
            FAILED | CANCELLED | NODE_FAIL | TIMEOUT) return 1 ;;
            PENDING) scontrol update JobId="$1" StartTime=now || true ;;
        esac
        sleep 1
    done
    scontrol show job "$1"
    return 1
}

job=$(submit "$work/slurm" 3 60)
finished "$job" || { cat "$work/slurm.log"; exit 1; }
cat "$work/slurm.log"
check "$work/slurm" "Slurm, two nodes" 1 0

echo "== Slurm: rank 3 is killed, the job is requeued"
job=$(submit "$work/slurm-killed" 6 60)
kill_rank "$work/slurm-killed" 3
# The other ranks end with it, and the job is restarted.
for _ in $(seq 50); do rank_of "$work/slurm-killed" 0 >/dev/null || break; done
scontrol requeue "$job"
sleep 2
finished "$job" || { cat "$work/slurm-killed.log"; exit 1; }
cat "$work/slurm-killed.log"
check "$work/slurm-killed" "Slurm, a rank killed, requeued" 2 1

echo
echo "| job | processes | attempts | GPU truth J | merged J | CPU truth J | merged J | outcome | redone epochs | |"
echo "|---|---|---|---|---|---|---|---|---|---|"
cat "$work/table"
exit "$failed"
