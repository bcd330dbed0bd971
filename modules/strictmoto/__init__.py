"""An AWS account on this machine, for rehearsals and tests: moto, plus what AWS enforces and moto does not."""
