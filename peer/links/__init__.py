"""Links as volunteers have them, made in user space: for swarms of containers, tests and benchmarks."""
