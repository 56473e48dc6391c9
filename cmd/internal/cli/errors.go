package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/build"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/push"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
	"github.com/upmaru/icepak/spec"
)

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	var code exitError
	var notPassed notPassedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &notPassed):
		return exitFailed
	case isUsage(err):
		return exitUsage
	}
	return exitUnknown
}

// isUsage tells a mistake of the user's from trouble elsewhere.
func isUsage(err error) bool {
	var (
		usage         usageError
		inSpec        spec.Errors
		unknownCheck  *spec.UnknownCheckError
		unknownRemote *lxd.UnknownRemoteError
		twoRemotes    *lxd.AmbiguousRemoteError
		unusable      *lxd.UnusableRemoteError
		untrusted     *lxd.UntrustedError
		forbidden     *lxd.ForbiddenError
		notOnRemote   *lxd.NotFoundError
		unknown       *simplestreams.UnknownProductError
		ambiguous     *simplestreams.AmbiguousProductError
		notInPolar    *polar.NotFoundError
		incomplete    *build.IncompleteError
		notPushed     *push.RefusedError
	)
	return errors.As(err, &usage) || errors.As(err, &inSpec) || errors.As(err, &unknownCheck) ||
		errors.As(err, &unknownRemote) || errors.As(err, &twoRemotes) || errors.As(err, &unusable) || errors.As(err, &untrusted) || errors.As(err, &forbidden) || errors.As(err, &notOnRemote) ||
		errors.As(err, &unknown) || errors.As(err, &ambiguous) || errors.As(err, &notInPolar) || errors.As(err, &incomplete) ||
		errors.As(err, &notPushed) || errors.Is(err, polar.ErrWrongPassword) || errors.Is(err, simplestreams.ErrURL)
}

// hintFor says what to do about the error, or nothing.
func hintFor(err error) string {
	var (
		usage       usageError
		remote      *lxd.UnknownRemoteError
		two         *lxd.AmbiguousRemoteError
		untrusted   *lxd.UntrustedError
		cert        *lxd.CertificateError
		unreachable *lxd.UnreachableError
		product     *simplestreams.UnknownProductError
		cluster     noClusterError
		changed     *changedError
		notThere    *notInTestingError
		check       *spec.UnknownCheckError
		key         *polarstore.KeyError
		notPassed   notPassedError
		refused     *polar.RefusedError
		absent      *polar.NotFoundError
	)
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &key):
		return "put it back from a backup; if it is lost, remove these clusters (icepak polar cluster remove), delete what is left of the file, and add them again"
	case errors.As(err, &remote):
		if near := checks.Suggest(remote.Name, remote.Known); near != "" {
			return fmt.Sprintf("did you mean %q?", near)
		}
	case errors.As(err, &two):
		return fmt.Sprintf("name it lxc:%s or incus:%[1]s", two.Name)
	case errors.As(err, &changed):
		return fmt.Sprintf("if the server got a new certificate, remove line %d of %s; if not, somebody else answers in its place",
			changed.known.Line, changed.file)
	case errors.As(err, &cert):
		return fmt.Sprintf("if its fingerprint is right, trust it with --server-fingerprint %s", cert.Fingerprint)
	case errors.As(err, &untrusted):
		return fmt.Sprintf("on the server, run: lxc config trust add; then here: lxc remote add %s ADDRESS (with Incus, incus instead of lxc), or give --client-cert and --client-key",
			untrusted.Remote)
	case errors.As(err, &unreachable):
		return "is LXD or Incus running there, and is this user allowed to use it?"
	case errors.As(err, &product) && len(product.Near) > 0:
		return fmt.Sprintf("did you mean %s?", strings.Join(product.Near, ", "))
	case errors.As(err, &check) && check.Suggestion != "":
		return fmt.Sprintf("did you mean %q?", check.Suggestion)
	case errors.As(err, &check):
		return "the spec has " + strings.Join(check.Known, ", ")
	case errors.As(err, &notThere) && notThere.refused == nil:
		return "is TESTING_IMAGE_SERVER the testing channel of that Polar?"
	case errors.As(err, &notThere):
		return "if it is active already, ACTIVE_IMAGE_SERVER, the active channel's feed, would tell"
	case errors.Is(err, polar.ErrWrongPassword):
		return "POLAR_AUTH_TOKEN holds Polar's password"
	case errors.As(err, &notPassed):
		return "--force promotes it all the same"
	case errors.Is(err, errNoClusters):
		return "add one to Polar: see icepak polar cluster add --help"
	case errors.As(err, &refused) && refused.Event == "create":
		return "Polar takes no file twice: is one of these in another version already, of whatever product?"
	case errors.As(err, &absent) && absent.What == "product":
		return "products are added in Polar itself; on icepak's own: icepak polar product add"
	case errors.As(err, &cluster):
		return "add one to Polar (icepak polar cluster add), or name a remote with icepak test --remote"
	}
	return ""
}
