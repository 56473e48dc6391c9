//go:build !linux

package checks

import (
	"errors"
	"time"
)

func readClocks() (boot, awake time.Duration, err error) {
	return 0, 0, errors.New("the time since the start can be told on Linux only")
}
