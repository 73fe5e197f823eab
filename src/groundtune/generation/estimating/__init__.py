"""What a run will take before anything is sent: tokens, requests, dollars, minutes, as ranges."""
