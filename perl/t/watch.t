use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use JSON::PP ();
use AI::MXNet qw(mx);

needs_operators(qw(dot sum log sqrt));

# -- the profiler

my $x = nd->ones([20, 20]);
$x->attach_grad;
my $profiler = mx->profiler;
my $y = nd->dot($x, $x);
$profiler->start;
my $got = $profiler->span(
    'a step' => sub {
        autograd->record(sub { $y = nd->dot($x, $x)->sum });
        $y->backward;
        return 'done';
    }
);
$profiler->stop;
nd->dot($x, $x);
is($got, 'done', 'a span gives what its sub returns');
my %calls = map { ("$_->{category} $_->{name}" => $_->{calls}) } $profiler->summary;
is($calls{'forward dot'}, 1, 'a call is counted while the profiler is on, and not before or after');
is($calls{'user a step'}, 1, 'so is the span');
ok((grep { /^backward / } keys %calls), 'the backward pass is told apart');
like(scalar $profiler->summary, qr/^name +category +calls .*^a step +user +1 /ms, 'a table');
my $file = tempdir(CLEANUP => 1) . '/trace.json';
$profiler->set_config(filename => $file);
is($profiler->dump, $file, 'dump writes where it was told');
open my $in, '<', $file or die $!;
my $trace = JSON::PP->new->decode(do { local $/ = undef; <$in> });
my ($dot) = grep { $_->{name} eq 'dot' } @{ $trace->{traceEvents} };
my ($span) = grep { $_->{name} eq 'a step' } @{ $trace->{traceEvents} };
is_deeply([@$dot{qw(ph cat)}, $dot->{args}{inputs}], ['X', 'forward', '(20,20) float32, (20,20) float32'], 'shapes');
ok($dot->{ts} >= $span->{ts} && $dot->{ts} + $dot->{dur} <= $span->{ts} + $span->{dur}, 'a call lies inside its span');
ok($dot->{dur} > 0 && (grep { $_->{ph} eq 'C' && $_->{args}{live} > 0 } @{ $trace->{traceEvents} }), 'time and memory');
is(scalar(() = $profiler->summary), 0, 'nothing is left after a dump');
$profiler->profiler_set_state(1);
eval {
    $profiler->span('dies', sub { die "x\n" });
};
is($@, "x\n", 'a span passes a die on');
$profiler->profiler_set_state(0);
is_deeply([map { $_->{name} } $profiler->summary], ['dies'], 'and is noted');
$profiler->trace;

# -- NaN

my $bad = nd->array([1, -1]);
is($bad->log->aspdl->at(0), 0, 'a NaN is nothing to die for');
dies_with(
    sub {
        autograd->detect_anomaly(sub { $bad->log });
    },
    qr/^log: output 0 \(float32\) has a NaN at \[1\]; its inputs have none/,
    'unless it is asked for'
);
dies_with(
    sub {
        autograd->detect_anomaly(sub { nd->array([[1, 2], [3, 'nan']]) + 1 });
    },
    qr/^_plus_scalar: output 0 .* at \[1,1\]; its input 0 has one already/,
    'one that came in'
);
my $zero = nd->zeros([2]);
$zero->attach_grad;
dies_with(
    sub {
        autograd->detect_anomaly(
            sub {
                my $r;
                autograd->record(sub { $r = sqrt($zero) * 0 });
                $r->backward;
            }
        );
    },
    qr/has a NaN at \[0\]; .*in the gradient of sqrt/,
    'one of the backward pass'
);
ok(eval { $bad->log; 1 }, 'it is off again after a die');
is(autograd->detect_anomaly(sub { 5 }), 5, 'gives what the sub returns');

# -- memory and threads

my $before = mx->memory->{live};
my $big = nd->zeros([1000, 1000]);
cmp_ok(mx->memory->{live} - $before, '>=', 4_000_000, 'live bytes');
undef $big;
is(mx->memory->{live}, $before, 'fall again');
cmp_ok(mx->memory->{peak}, '>=', $before + 4_000_000, 'the peak stays');
mx->reset_peak_memory;
is(mx->memory->{peak}, $before, 'until it is put down');
mx->set_num_threads(1);
is(AI::MXNet::Keshi::num_threads(), 1, 'the number of threads');
mx->set_num_threads(0);

done_testing;
