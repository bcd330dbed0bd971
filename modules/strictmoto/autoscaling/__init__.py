"""Auto Scaling, where moto differs from AWS."""
