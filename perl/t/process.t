use strict;
use warnings;
use Config;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum));

# -- fork: both sides go on, with the threads of the kernels in use before

my $x = nd->ones([300, 300]);
$x->attach_grad;
my $step = sub {
    my $y;
    autograd->record(sub { $y = ($x * $x + 1)->sum });
    $y->backward;
    return $x->grad->sum->asscalar;
};
my $want = $step->();
SKIP: {
    skip 'no fork here', 4 if not $Config{d_fork};
    for my $round (1, 2) {
        pipe my $from, my $to or die $!;
        my $child = fork // die $!;
        if (not $child) {
            alarm 60;
            my $got = eval { $step->() } // "died: $@";
            syswrite $to, $got;
            require POSIX;
            POSIX::_exit(0);
        }
        close $to;
        my $got = do { local $/ = undef; <$from> };
        waitpid $child, 0;
        is($got, $want, "the child computes, round $round");
        is($step->(), $want, 'so does the parent');
    }
}

# -- perl threads: arrays are shared with the new thread, each side lets go of its own

SKIP: {
    skip 'this perl has no threads', 3 if not $Config{useithreads};
    require threads;
    local $PDL::no_clone_skip_warning = 1;
    my $shared = nd->array([1, 2, 3]);
    my $sum =
        threads->create(sub { my $y = $shared * 2; $shared->at(0) += 10; return join ' ', $y->aspdl->list })->join;
    is($sum, '2 4 6', 'a thread computes with an array of its parent');
    is_close($shared, [11, 2, 3], 'whose memory it shares');
    my $error = threads->create(
        sub {
            eval { my $y = $shared + [1] };
            return $@;
        }
    )->join;
    like($error, qr/add: got a list.* at \Q${\__FILE__}\E line \d+\.$/m, 'errors of a thread are its own');
    undef $shared;
}

done_testing;
