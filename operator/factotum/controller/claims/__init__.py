"""The door for Pods: who asks, what they may, and what they are told."""
