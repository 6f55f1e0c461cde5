"""Hundreds of jobs on a real control plane while everything around them fails, and then the truth.

``python -m chaos`` draws a plan from a seed (jobs and disturbances; the same seed, the same plan),
runs it on a cluster of its own and compares what the operator says with what the tasks themselves
wrote down. Real: the API server with its controllers, our chart with its rights, the operators'
processes, Consul, Pods with their tokens, the runner's processes. Played: the kubelet.

plan, behaviours, weather, recording and judging are pure; world and acts touch things; driving
puts one to the other. Nothing here knows how the operator works.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What brings up clusters, operators and Consul is shared with the tests.
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "hack" / "test-node")]
