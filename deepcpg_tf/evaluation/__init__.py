"""How well predictions fit what was measured: metrics, figures and a report."""
