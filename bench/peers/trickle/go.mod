module millrace/bench/peers/trickle

go 1.24.0
