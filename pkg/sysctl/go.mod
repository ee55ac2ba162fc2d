module lkt/sysctl

go 1.24

require lkt/init v0.0.0

// The same code that PID 1 has.
replace lkt/init => ../init
