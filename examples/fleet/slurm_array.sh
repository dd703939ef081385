#!/bin/bash
# Depth of all recordings in a folder, as a job array: sbatch slurm_array.sh RECORDINGS RESULTS [OPTION…]
# Each of the 100 tasks processes every 100th recording; --shard reads SLURM_ARRAY_TASK_ID. A task that is requeued does
# only what is missing. Afterwards, the same command without --shard lists what failed.
#SBATCH --job-name=depth-of-recordings
#SBATCH --array=0-99
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=08:00:00
#SBATCH --requeue
set -euo pipefail
recordings="${1:?folder of the recordings}"
results="${2:?folder for the results}"
srun depth-ros bag process "$recordings"/* "$results" --shard 100 --jobs "${SLURM_CPUS_PER_TASK:-1}" --json "${@:3}"
