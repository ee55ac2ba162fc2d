package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"lkt/init/bundle"
	"lkt/init/supervise"
)

const (
	servicePath = "/usr/bin/service"
	servicesDir = containersDir + "/services"
	// stopTime is how long a service may take to stop before it is killed.
	stopTime = 15 * time.Second
)

// services are the containers that run until the machine shuts down.
type services interface {
	// ready sends the number of failed services once each service is ready or has failed.
	ready() <-chan int
	// stop stops the services, dependents first. When forced ends, it kills the remaining ones.
	stop(forced context.Context)
	// health returns an error if the services are no longer supervised.
	health() error
}

// startServices starts the services with containerd if the image contains it, otherwise with the
// runtime alone.
func startServices(children *reaper, log *logging) services {
	rules := map[string]supervise.Rules{}
	failed := 0
	for _, name := range directories(servicesDir) {
		dir := filepath.Join(servicesDir, name)
		runtime, err := bundle.Load(dir)
		if err == nil {
			_, err = runtime.Prepare(dir)
		}
		if err == nil {
			rules[name], err = supervise.LoadRules(dir)
		}
		if err != nil {
			delete(rules, name)
			step("service %s failed: %v", name, err)
			failed++
		}
	}
	if _, err := os.Stat(servicePath); err == nil {
		for name := range rules {
			// Create the pipe that the service's shim opens.
			if out, err := log.open(name); err != nil {
				step("service %s has no log: %v", name, err)
			} else {
				out.Close()
			}
		}
		m := &containerdServices{
			children:    children,
			log:         log,
			started:     make(chan int, 1),
			stopping:    make(chan struct{}),
			stopped:     make(chan struct{}),
			progress:    make(chan struct{}, 1),
			stopTimeout: func() <-chan time.Time { return time.After(stopTime + 5*time.Second) },
		}
		go m.supervise(failed)
		return m
	}
	return startDirect(children, log, rules, failed)
}
