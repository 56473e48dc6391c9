package lxd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/canonical/lxd/shared/api"
)

func TestWhatIsTheServersFault(t *testing.T) {
	failed := func(text string) error { return fmt.Errorf("create x: %w", &operationError{"Failure", text}) }
	for _, tt := range []struct {
		err              error
		full, unanswered bool
	}{
		{failed("Failed creating instance from image: Unsquashfs failed: write: no space left on device"), true, false},
		{failed(`Reached maximum number of instances of type "container" in project "p"`), true, false},
		{failed(`Reached maximum aggregate value "4GiB" for "limits.memory" in project "p"`), true, false},
		{failed("Failed to run: forkstart: fork: Cannot allocate memory"), true, false},
		{failed("Failed getting image: Image not found"), false, false},
		{failed("Get \"https://feed/\": dial tcp: connection reset by peer"), false, false}, // the feed's fault
		{api.StatusErrorf(http.StatusBadRequest, "Profile not found"), false, false},
		{&UnreachableError{Remote: "r", Err: errors.New("refused")}, false, true},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, false, true},
		{fmt.Errorf("the server's answer: %w", io.ErrUnexpectedEOF), false, true},
		{errLost, false, true},
		{errors.New("open rootfs.squashfs: no such file"), false, false},
	} {
		if full, unanswered := Full(tt.err), Unanswered(tt.err); full != tt.full || unanswered != tt.unanswered {
			t.Errorf("%v: full %t, unanswered %t", tt.err, full, unanswered)
		}
	}
}

// Incus says this of a guest whose init ended while it was asked for.
func TestAGuestThatEndsWhileItIsLookedAtIsTold(t *testing.T) {
	for text, want := range map[string]bool{"Invalid PID '\ufffd'": true, "Instance not found": false} {
		if got := Ending(fmt.Errorf("x: state: %w", api.StatusErrorf(http.StatusInternalServerError, "%s", text))); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if Ending(&UnreachableError{Remote: "r", Err: errors.New("Invalid PID")}) {
		t.Error("a server that did not answer said something")
	}
}
