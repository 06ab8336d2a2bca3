use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(_arange));

my %text = (
    'cpu(0)' => mx->cpu,
    'cpu(2)' => mx->cpu(2),
    'gpu(1)' => mx->gpu(1),
    'cpu_pinned(0)' => mx->cpu_pinned,
    'gpu(0)' => mx->Context('gpu'),
    'cpu(4)' => mx->Context(device_type => 'cpu', device_id => 4),
    'gpu(3)' => mx->Context(mx->gpu(3)),
);
is("$text{$_}", $_, $_) for sort keys %text;
ok(mx->cpu(1) == mx->cpu(1), 'equal');
ok(mx->cpu(1) != mx->cpu(2), 'not equal');
ok(!(mx->cpu == 'cpu(0)'), 'text is not a context');
ok(mx->cpu eq 'cpu(0)', 'but has the same text');
is_deeply([map { mx->$_->device_type_id } qw(cpu gpu cpu_pinned)], [1, 2, 3], 'numbers of the types');
my $copy = mx->cpu(1)->deepcopy;
$copy->device_id(7);
is("$copy", 'cpu(7)', 'a copy may change');
is(mx->context->num_gpus, 0, 'no GPU');

my $x = nd->array([[1, 2], [3, 4]], ctx => mx->cpu(1));
is(($x + 1)->context . '', 'cpu(1)', 'operators stay where their input is');
is($x->at(0)->context . '', 'cpu(1)', 'views too');
is($x->as_in_context(mx->cpu(1))->handle, $x->handle, 'as_in_context gives the array itself');
isnt($x->as_in_context(mx->cpu)->handle, $x->handle, 'or a copy');
is($x->copyto(mx->cpu(2))->context . '', 'cpu(2)', 'copyto a context');
my $was = mx->context->set_current(mx->cpu(5));
is(nd->arange(stop => 3)->context . '', 'cpu(5)', 'set_current');
mx->context->set_current(mx->cpu);

dies_with(sub { mx->Context(device_type => 'tpu') }, qr/device_type got tpu, want cpu, gpu or cpu_pinned/,
    'a bad type');
dies_with(sub { mx->cpu('one') }, qr/device_id got one, want a whole number/, 'a bad id');
dies_with(sub { mx->Context(device => 'cpu') }, qr/no such named argument 'device'/, 'a bad name');
dies_with(sub { mx->context->set_current('cpu') }, qr/want an AI::MXNet::Context/, 'set_current of text');
dies_with(
    sub { nd->ones([1], ctx => 'cpu') },
    qr/ones: ctx got 'cpu', want an AI::MXNet::Context/,
    'text for a context'
);
dies_with(sub { nd->ones([1], ctx => mx->gpu) }, qr/gpu/, 'an array on a GPU');
dies_with(sub { mx->context->gpu_memory_info(0) }, qr/no GPU/, 'memory of a GPU');

done_testing;
