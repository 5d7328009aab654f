"""What a function does, as data: its code and the state outside its arguments that it reads."""
