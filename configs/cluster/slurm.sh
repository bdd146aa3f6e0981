#!/usr/bin/env bash
# One scene on many nodes of SLURM:
#   sbatch configs/cluster/slurm.sh /data/scene.tif forest-s2-rgb /data/out --chunk 4096
# Scene, model and output folder lie on a disk that all nodes see; options of `geoseg predict` come after them.
# Given again, the same command goes on where the last job ended: at its time limit, too.
#SBATCH --job-name=geoseg
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
# with GPUs, one worker for each:
##SBATCH --gpus-per-task=1
set -euo pipefail

scene=$1 model=$2 out=$3
shift 3
threads=${SLURM_CPUS_PER_TASK:-1}
export OMP_NUM_THREADS=$threads

mkdir -p "$out"
file=$(mktemp --suffix .json "$out/.scheduler.XXXXXX")
end() {  # workers first: they take leave of a scheduler that is there
    for process in ${workers:-} ${scheduler:-}; do kill "$process" 2>/dev/null && wait "$process" || true; done
    rm -f "$file"
}
trap end EXIT
trap 'exit 143' TERM  # SLURM sends it before the time is over

dask scheduler --host "$(hostname)" --port 0 --no-dashboard --scheduler-file "$file" &
scheduler=$!
until [ -s "$file" ]; do sleep 1; done
address=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$file")

srun --kill-on-bad-exit=0 dask worker "$address" --nthreads 1 --no-nanny --no-dashboard --death-timeout 300 &
workers=$!
python -c 'import distributed, sys; distributed.Client(sys.argv[1]).wait_for_workers(1)' "$address"

# in the background, so that the shell hears SLURM's signal and hands it on
geoseg predict "$scene" --model "$model" --out "$out" --scheduler "$address" --threads "$threads" "$@" &
predict=$!
trap 'kill -TERM $predict; wait $predict; exit 143' TERM
wait $predict
