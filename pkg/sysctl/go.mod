module lkt/sysctl

go 1.24

require lkt/init v0.0.0

// The code of PID 1.
replace lkt/init => ../init
