"""Finding out: factfiles, hosts, Pods that are not in sight; and all facts about one job."""
