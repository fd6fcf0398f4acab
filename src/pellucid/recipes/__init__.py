"""What papers did, a file each: the experiments, and what is to be seen in their results."""
