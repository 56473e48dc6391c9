package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// person runs icepak on a terminal as a person does: person CODE FILE ARGS…. A line of
// the file is what is done: type TEXT, see TEXT, or size COLUMNS ROWS. Afterwards the
// terminal must be as it was.
func person(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: person CODE FILE ARGS...")
	}
	screen, tty, err := openTerminal()
	ts.Check(err)
	defer screen.Close()
	defer tty.Close()
	was, err := term.GetState(int(tty.Fd()))
	ts.Check(err)
	cmd := icepak(ts, args[2:]...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	defer func() { _ = cmd.Process.Kill() }() // unless it has ended
	var shown lockedBuffer
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := screen.Read(buf)
			_, _ = shown.Write(buf[:n]) // a buffer takes all
			if err != nil {
				return
			}
		}
	}()
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		what, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch what {
		case "type":
			_, err := screen.WriteString(text + "\r")
			ts.Check(err)
		case "size":
			ts.Check(setSize(screen, text))
		case "see":
			await(ts, &shown, text)
		}
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s: %s", code, args[0], shown.String())
	}
	if now, err := term.GetState(int(tty.Fd())); err != nil || *now != *was {
		ts.Fatalf("the terminal is left changed: %v", err)
	}
}

// Linux's requests of a new terminal: its number, and whether it is locked. The tests
// run nowhere else, but are to be compiled there.
const (
	getNumber = 0x80045430 // TIOCGPTN
	setLock   = 0x40045431 // TIOCSPTLCK
)

// openTerminal makes a terminal and returns both of its ends.
func openTerminal() (screen, tty *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	screen = os.NewFile(uintptr(fd), "/dev/ptmx")
	n, err := unix.IoctlGetInt(fd, getNumber)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, setLock, 0)
	}
	if err == nil {
		err = setSize(screen, "80 24")
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		screen.Close()
		return nil, nil, err
	}
	return screen, tty, nil
}

// setSize gives a terminal a size, written as COLUMNS ROWS.
func setSize(screen *os.File, text string) error {
	var size unix.Winsize
	if _, err := fmt.Sscan(text, &size.Col, &size.Row); err != nil {
		return err
	}
	conn, err := screen.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	if err := conn.Control(func(fd uintptr) { setErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size) }); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond) // the signal has a way to go, to the guest
	return setErr
}
