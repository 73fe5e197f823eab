"""Questions that the passages do not answer: near-misses over neighbouring text, and questions with a false premise."""
