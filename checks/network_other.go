//go:build !linux

package checks

import "errors"

func readLinks() ([]Link, error) {
	return nil, errors.New("links can be listed on Linux only")
}
