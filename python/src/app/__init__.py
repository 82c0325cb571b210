"""The modules of ai-runner that pipelines import, under their old name."""
