use strict;
use warnings;
use Config;
use Test::More;
use Time::HiRes qw(time sleep);
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(sum dot));

# Long runs, deep graphs, and being told to stop.

sub resident
{
    open my $in, '<', '/proc/self/statm' or return;
    return (split ' ', <$in>)[1] * 4096;
}

# -- 100,000 rounds of record and backward: no memory grows

my $x = nd->array([1, 2, 3]);
$x->attach_grad;
my $y;
my $round = sub {
    autograd->record(sub { $y = ($x * $x + 1)->sum });
    $y->backward;
};
$round->() for 1 .. 5000;
my ($live) = AI::MXNet::Keshi::memory();
my $resident = resident();
$round->() for 1 .. 100_000;
is((AI::MXNet::Keshi::memory())[0], $live, 'arrays hold as many bytes after 100,000 rounds');
SKIP: {
    skip 'no /proc here', 1 if not $resident;
    cmp_ok(resident() - $resident, '<', 2 << 20, 'the process has grown by less than 2 MiB');
}
is_close($x->grad, [2, 4, 6], 'the gradient is still right');

# -- a graph of a million calls

my $deep = nd->ones([1]);
$deep->attach_grad;
autograd->record(
    sub {
        my $z = $deep;
        $z = $z + 1 for 1 .. 1_000_000;
        $y = $z;
    }
);
is($y->asscalar, 1_000_001, 'a million calls are recorded');
$y->backward;
is_close($deep->grad, [1], 'and gone back through');
autograd->record(sub { my $z = $deep; $z = $z + 1 for 1 .. 1_000_000; $y = $z });
undef $y;
pass('and dropped');

# -- fork in the middle of training

SKIP: {
    skip 'no fork here', 4 if not $Config{d_fork};
    my $w = nd->ones([200, 200]) * 0.001;
    $w->attach_grad;
    my $step = sub {
        my $loss;
        autograd->record(sub { $loss = ((nd->dot($w, $w) - 1)**2)->mean });
        $loss->backward;
        $w -= $w->grad * 10;
        return $loss->asscalar;
    };
    $step->() for 1 .. 3;
    my $loss;
    autograd->record(sub { $loss = (nd->dot($w, $w)**2)->mean });
    pipe my $from, my $to or die $!;
    my $child = fork // die $!;
    if (not $child) {
        alarm 60;
        my $ok = eval { $loss->backward; $step->() for 1 .. 3; 1 };
        syswrite $to, $ok ? sprintf('%.6g', $step->()) : "died: $@";
        require POSIX;
        POSIX::_exit(0);
    }
    close $to;
    $loss->backward;
    $step->() for 1 .. 3;
    my $want = sprintf '%.6g', $step->();
    my $got = do { local $/ = undef; <$from> };
    waitpid $child, 0;
    is($got, $want, 'a child that was forked inside a step goes on as its parent does');
    is($?, 0, 'and ends well');

    # -- kill -INT, with and without a handler
    for my $handler ('DEFAULT', sub { die "interrupted\n" }) {
        my $busy = fork // die $!;
        if (not $busy) {
            $SIG{INT} = $handler;    ## no critic (RequireLocalizedPunctuationVars)
            alarm 60;
            my $a = nd->ones([300, 300]) / 300;
            eval { $a = nd->dot($a, $a) while 1 };
            require POSIX;
            POSIX::_exit($@ eq "interrupted\n" ? 7 : 8);
        }
        sleep 0.5;
        my $start = time;
        kill INT => $busy;
        waitpid $busy, 0;
        my $took = time - $start;
        my $how = ref $handler ? $? >> 8 == 7 : ($? & 127) == 2;
        ok($how && $took < 5, (ref $handler ? 'a handler runs' : 'the process ends') . ' promptly on SIGINT')
            or diag("status $?, $took s");
    }
}

# -- a perl thread with a graph of its own

SKIP: {
    skip 'this perl has no threads', 3 if not $Config{useithreads};
    require threads;
    local $PDL::no_clone_skip_warning = 1;
    autograd->record(sub { $y = ($x * 3)->sum });
    my @sums = map { $_->join } map {
        my $k = $_;
        threads->create(
            sub {
                my $v = nd->array([1, 2, $k]);
                $v->attach_grad;
                my $r;
                for (1 .. 50) {
                    autograd->record(sub { $r = ($v * $v * $k)->sum });
                    $r->backward;
                }
                return $v->grad->sum->asscalar;
            }
        )
    } 1 .. 3;
    is_deeply(\@sums, [8, 20, 36], 'threads differentiate side by side');
    $y->backward;
    is_close($x->grad, [3, 3, 3], 'the graph of the parent is its own');
    my $shared = nd->ones([1000]);
    threads->create(sub { my $z = $shared + 1; return })->join for 1 .. 20;
    is($shared->sum->asscalar, 1000, 'an array survives twenty threads that had it');
}

done_testing;
