module jobd/bench/peers/go

go 1.19
