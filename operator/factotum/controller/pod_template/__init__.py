"""What people lay over the Pods of jobs: what may be asked, and how it is merged. Pure.

It knows the names that are ours in a Pod, and nothing of jobs, settings or requests.
"""
