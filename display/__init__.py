"""What people see of Clockwork: the plan of a run, the run as it goes on, and a picture of it afterwards."""
