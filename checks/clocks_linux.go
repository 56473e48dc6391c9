package checks

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// readClocks asks the kernel how long it has been up, and how long awake.
func readClocks() (boot, awake time.Duration, err error) {
	for _, clock := range []struct {
		id  int32
		has *time.Duration
	}{{unix.CLOCK_BOOTTIME, &boot}, {unix.CLOCK_MONOTONIC, &awake}} {
		var now unix.Timespec
		if err := unix.ClockGettime(clock.id, &now); err != nil {
			return 0, 0, fmt.Errorf("ask the kernel for the time since its start: %w", err)
		}
		*clock.has = time.Duration(now.Nano())
	}
	return boot, awake, nil
}
