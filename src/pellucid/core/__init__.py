"""What every module stands on: errors, types, files, randomness, processes, modes, the input gradient."""
