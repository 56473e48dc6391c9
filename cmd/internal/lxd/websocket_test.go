package lxd

import (
	"net"
	"testing"
	"time"
)

func TestConnectionsThatWaitAreBoundedAndGetStale(t *testing.T) {
	s := &spares{}
	open := func() (net.Conn, net.Conn) { return net.Pipe() }
	closed := func(other net.Conn) bool {
		_ = other.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := other.Read(make([]byte, 1))
		return err != nil
	}
	for range maxSpares {
		if !s.reserve() {
			t.Fatal("no room")
		}
	}
	if s.reserve() {
		t.Error("there is room for more than the most")
	}
	s.put(nil) // which failed
	if !s.reserve() {
		t.Error("one that failed keeps its room")
	}
	old, oldEnd := open()
	young, _ := open()
	s.put(old)
	s.conns[0].made = time.Now().Add(-2 * spareAge)
	s.put(young)
	if got := s.take(); got != young {
		t.Errorf("got %v, want the one that is not stale", got)
	}
	if !closed(oldEnd) {
		t.Error("the stale one is still open")
	}
	if got := s.take(); got != nil {
		t.Errorf("got %v, want none", got)
	}
	last, lastEnd := open()
	late, lateEnd := open()
	s.put(last)
	s.close()
	s.put(late)
	if !closed(lastEnd) || !closed(lateEnd) || s.reserve() {
		t.Error("something is left open")
	}
}
