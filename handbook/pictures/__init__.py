"""The pictures of the explanation, drawn from the committed records of benchmarks or from a sketch."""
