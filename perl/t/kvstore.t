use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);

needs_operators(qw(add_n sgd_update take));

my $kv = mx->kv->create('device');
$kv->init(['a', 7], [nd->ones([2]), nd->zeros([3])]);

# -- several contexts

my @devices = map { mx->cpu($_) } 0 .. 2;
$kv->push('a', [map { nd->ones([2], ctx => $devices[$_]) * ($_ + 1) } 0 .. 2]);
my @out = map { nd->zeros([2], ctx => $_) } @devices;
$kv->pull('a', out => \@out);
is_close($_, [6, 6], 'the sum of three contexts on ' . $_->context) for @out;
is(join(' ', map { $_->context } @out), 'cpu(0) cpu(1) cpu(2)', 'each stays where it was');
$kv->push(['a', 'a'], [nd->ones([2]), nd->ones([2])]);
$kv->pull('a', out => $out[0]);
is_close($out[0], [2, 2], 'a key that comes twice is one key');
$kv->pull('7', out => my $seven = nd->ones([3]));
is_close($seven, [0, 0, 0], 'numbers and their text are the same key');

# -- what is refused, and what that leaves

dies_with(sub { $kv->init(['new', 'a'], [nd->ones([1]), nd->ones([1])]) }, qr/duplicate init of key a/, 'init twice');
dies_with(
    sub { $kv->pull('new', out => nd->ones([1])) },
    qr/key new has not been inited/,
    '... leaves the other key alone'
);
dies_with(
    sub { $kv->push(['a', 'none'], [nd->ones([2]), nd->ones([2])]) },
    qr/none has not been inited/,
    'an unknown key'
);
$kv->pull('a', out => $out[0]);
is_close($out[0], [2, 2], '... pushes nothing');
dies_with(
    sub { $kv->push(['a'], [nd->ones([2]), nd->ones([2])]) },
    qr/1 keys and 2 values/,
    'lists of different lengths'
);
dies_with(sub { $kv->push('a', [1, 2]) }, qr/want an AI::MXNet::NDArray/, 'what is no array');
ok(!eval { $kv->pull('a', ouT => $out[0]); 1 }, 'a misspelt name');
dies_with(sub { mx->kv->create('dist_sync') }, qr/parameter servers/, 'dist');
dies_with(sub { mx->kv->create('nccl') }, qr/GPUs/, 'nccl');

# -- an optimizer in the store

my $file = tempdir(CLEANUP => 1) . '/states';

sub trained
{
    my $store = mx->kv->create('local');
    $store->init(0, nd->zeros([2]));
    $store->set_optimizer(mx->optimizer->SGD(learning_rate => 1, momentum => 0.5));
    return $store;
}
my $store = trained();
$store->push(0, nd->ones([2])) for 1, 2;
$store->save_optimizer_states($file, dump_optimizer => 1);
my $again = trained();
$again->load_optimizer_states($file);
is($again->_updater->optimizer->num_update, 2, 'the optimizer comes back with the states');
$_->push(0, nd->ones([2])) for $store, $again;
is_close($again->_updater->states->{0}, $store->_updater->states->{0}, 'and goes on as the first would');
dies_with(sub { $again->load_optimizer_states("$file.none") }, qr/cannot read/, 'a file that is not there');

# -- compression

my $small = mx->kv->create('device');
$small->init('g', nd->zeros([3]));
$small->set_gradient_compression({ type => '2bit', threshold => 0.5 });
my @sent;
for (1, 2) {
    $small->push('g', [nd->array([0.3, -0.7, 0.1]), nd->array([0.6, 0, 0])]);
    $small->pull('g', out => my $got = nd->zeros([3]));
    push @sent, [$got->aspdl->list];
}
is_deeply(\@sent, [[0.5, -0.5, 0], [1, -0.5, 0]], 'what compression holds back comes later');
dies_with(sub { $small->set_gradient_compression({ type => '1bit' }) }, qr/want '2bit'/, 'another compression');

done_testing;
