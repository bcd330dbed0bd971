"""An AWS account on this machine, for trials and tests: moto, plus what AWS enforces and moto does not."""
