SELECT name, second_factor FROM organisations
