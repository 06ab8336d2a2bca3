use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(FullyConnected elemwise_add SliceChannel Concat));

my $sym = 'AI::MXNet::Symbol';
my ($x, $y) = map { mx->sym->Variable($_) } qw(x y);

# -- a graph much deeper than the stack is built, walked, copied, written, read, run and dropped
{
    my $deep = $x;
    $deep = $deep + 1 for 1 .. 20_000;
    is_deeply($deep->list_arguments, ['x'], 'a deep graph is walked');
    my $copy = mx->sym->load_json($deep->deepcopy->tojson);
    is($copy->tojson, $deep->tojson, 'and comes back from its text');
    is($deep->eval(args => { x => mx->nd->zeros([1]) })->[0]->asscalar, 20_000, 'and runs');
    my $exec = $deep->simple_bind(ctx => mx->cpu, shapes => { x => [1] });
    $exec->forward(1);
    $exec->backward;
    is($exec->grad_dict->{x}->asscalar, 1, 'and goes back');
}

# -- composition leaves the original alone and shares what it is given
{
    my $net = mx->sym->FullyConnected(name => 'fc', num_hidden => 3);
    my $other = mx->sym->tanh($x, name => 'other');
    my $joined = $net->(fc_data => $other, name => 'joined');
    is_deeply($joined->list_arguments, [qw(x fc_weight fc_bias)], 'a variable is replaced');
    is_deeply($net->list_arguments, [qw(fc_data fc_weight fc_bias)], 'in a copy');
    $other->_set_attr(__mood__ => 'calm');
    is($joined->get_internals->slice('other_output')->attr('__mood__'), 'calm', 'what is put in is shared');
    dies_with(sub { $net->(nosuch => $x) }, qr/Cannot find argument 'nosuch'/, 'an unknown name');
    dies_with(
        sub { $net->(fc_data => mx->sym->Group([$x, $y])) },
        qr/single value is required/,
        'several outputs for one input'
    );
}

# -- attributes
{
    my $fc = mx->sym->FullyConnected($x, num_hidden => 3, name => 'fc', attr => { lr_mult => 2 });
    is($fc->attr('lr_mult'), 2, 'a hidden key is found bare');
    is($fc->attr('__lr_mult__'), 2, 'and whole');
    dies_with(sub { $fc->_set_attr(weight_lr_mult => 2) }, qr/deprecated/, 'an attribute of an input on its user');
    $fc->_set_attr(num_hidden => 7);
    my (undef, $out) = $fc->infer_shape(x => [2, 5]);
    is_deeply($out->[0], [2, 7], 'a parameter that is changed counts');
    dies_with(
        sub { $fc->_set_attr(no_bias => 1) },
        qr/would change the number of inputs/,
        'but not the number of inputs'
    );
    is($fc->attr('no_bias'), undef, 'and nothing has changed then');
}

# -- inference: unknown sizes, backwards, and one variable used twice
{
    my ($args) = ($x + $y)->infer_shape(x => [0, 3], y => [2, 0]);
    is_deeply($args, [[2, 3], [2, 3]], 'two halves make a whole');
    for my $norm (qw(InstanceNorm LayerNorm)) {
        my ($args, $outs) = mx->sym->$norm($x, name => 'norm')->infer_shape_partial(x => [0, 3, 4, 5]);
        my $last = $norm eq 'LayerNorm' ? 5 : 3;
        is_deeply([$args, $outs], [[[0, 3, 4, 5], [$last], [$last]], [[0, 3, 4, 5]]], "$norm of a batch of any size");
    }
    my $partly = sub { my ($s, @shape) = @_; ($s->infer_shape_partial(x => \@shape))[1] };
    my %of = (
        'a range of another axis' => [mx->sym->slice_axis($x, axis => 1, begin => 1, end => 3), [0, 3, 3] => [0, 2, 3]],
        'a part of an axis that is not known' =>
            [mx->sym->slice_axis($x, axis => 0, begin => 1, end => undef), [0, 3] => [0, 3]],
        'parts of an axis' => [mx->sym->SliceChannel($x, axis => 1, num_outputs => 3), [0, 6] => ([0, 2]) x 3],
        'a border' =>
            [mx->sym->Pad($x, mode => 'edge', pad_width => [0, 0, 0, 0, 1, 1, 1, 0]), [0, 2, 3, 3] => [0, 2, 5, 4]],
        'a product' => [mx->sym->dot($x, mx->sym->zeros(shape => [3, 4])), [0, 3] => [0, 4]],
        'the best of each row' => [mx->sym->topk($x, k => 2), [0, 5] => [0, 2]],
        'a reshape' => [mx->sym->Reshape($x, shape => [-2, 1]), [2, 0] => [2, 0, 1]],
        'one of each row' => [mx->sym->pick($x, mx->sym->var('i'), keepdims => 1), [0, 3] => [0, 1]],
    );
    for my $what (sort keys %of) {
        my ($s, $shape, @outs) = @{ $of{$what} };
        is_deeply($partly->($s, @$shape), \@outs, "$what, the batch unknown");
    }
    ($args) = mx->sym->SoftmaxOutput($x, multi_output => 1, name => 's')->infer_shape(x => [2, 3, 4, 5]);
    is_deeply($args, [[2, 3, 4, 5], [2, 20]], 'labels of many places lie in one axis');
    ($args) = mx->sym->LinearRegressionOutput($x, mx->sym->var('l'))->infer_shape_partial(x => [0, 1], l => [3]);
    is_deeply($args, [[3, 1], [3]], 'labels of a column are as many as its rows');
    ($args) = ($x + $x * 2)->infer_shape_partial(x => [0, 4]);
    is_deeply($args, [[0, 4]], 'what is not known stays open');
    my @types = ($x + $y)->infer_type(y => 'int8');
    is_deeply(\@types, [['int8', 'int8'], ['int8'], []], 'dtypes go backwards too');
    dies_with(sub { ($x + $y)->infer_shape(z => [1]) }, qr/Keyword argument name z not found/, 'a shape for nothing');
    my $state = mx->sym->zeros(shape => [0, 3]);
    is_deeply(($state + $x)->eval(args => { x => mx->nd->ones([2, 3]) })->[0]->shape,
        [2, 3], 'zeros take the size of their use');
}

# -- files: names and attributes with all sorts of characters
{
    my $odd = "a \"quoted\" \\ name\twith\nlines and é";
    my $s = mx->sym->relu(mx->sym->Variable($odd, attr => { note => $odd }), name => 'r');
    my $back = mx->sym->load_json($s->tojson);
    is($back->tojson, $s->tojson, 'odd characters survive');
    is($back->list_arguments->[0], $odd, 'in names');
    dies_with(
        sub { mx->sym->load_json('{"nodes": [{"op": "nosuch", "name": "n", "inputs": []}]}') },
        qr/node 0 \(n\).*no operator 'nosuch'/s,
        'an unknown operator is named'
    );
    dies_with(
        sub { mx->sym->load_json('{"nodes": [{"op": "relu", "name": "n", "inputs": [[3, 0]]}]}') },
        qr/names no output/,
        'an input that is not there'
    );
}

# -- outputs of one node
{
    my $cut = mx->sym->SliceChannel($x, num_outputs => 2, name => 'cut');
    is("$cut->[1]", '<AI::MXNet::Symbol cut>', 'an output has the name of its node');
    is_deeply($cut->[1]->list_outputs, ['cut_output1'], 'and its own in lists');
    dies_with(sub { mx->sym->relu($cut) }, qr/single value is required/, 'two outputs are no input');
}

# -- an operator that was called without inputs gets them later
{
    my $open = mx->sym->FullyConnected(num_hidden => 2, name => 'open');
    is_deeply($open->($x)->list_arguments, [qw(x open_weight open_bias)], 'by position');
    is_deeply($open->(open_weight => $x)->list_arguments, [qw(open_data x open_bias)], 'by name');
    dies_with(
        sub { mx->sym->relu($open)->($x) },
        qr/^compose: a network takes its inputs by name/,
        'but no network does'
    );
    dies_with(sub { $open->(($x) x 4) }, qr/^compose: open got 4 inputs, want at most 3/, 'nor too many');
}

# undef for a parameter that must be given, and may be None

is_close(
    mx->sym->slice_axis(mx->sym->var('x'), axis => 1, begin => 1, end => undef)
        ->eval(args => { x => nd->array([[1, 2, 3]]) })->[0],
    [2, 3],
    'to the end'
);

# How many outputs the files of MXNet count for each call, in node_row_ptr.
{
    my %small = (kernel => [2, 2]);
    my %rnn = (state_size => 3, num_layers => 1);
    my @counts = (
        [2, Pooling => 1, %small, pool_type => 'max'],
        [1, Pooling => 1, %small, pool_type => 'avg'],
        [3, BatchNorm => 1],
        [2, Dropout => 1],
        [2, LRN => 1, nsize => 3],
        [3, SliceChannel => 1, num_outputs => 3],
        [1, RNN => 1, %rnn, mode => 'lstm'],
        [3, RNN => 1, %rnn, mode => 'lstm', state_outputs => 1],
        [2, RNN => 1, %rnn, mode => 'gru', state_outputs => 1],
        [1, topk => 1],
        [2, topk => 1, ret_typ => 'value'],
        [2, sort => 1],
        [2, CTCLoss => 2],
        [3, SpatialTransformer => 2, target_shape => [2, 2], transform_type => 'affine', sampler_type => 'bilinear'],
        [2, GridGenerator => 1, target_shape => [2, 2], transform_type => 'affine'],
        [2, BilinearSampler => 2],
        [3, Correlation => 2],
    );
    for (@counts) {
        my ($want, $operator, $inputs, @set) = @$_;
        my $call = mx->sym->$operator((mx->sym->var('x')) x $inputs, @set);
        my ($rows) = $call->tojson =~ /"node_row_ptr": \[([^\]]*)\]/;
        my @rows = split /,\s*/, $rows;
        is($rows[-1] - $rows[-2], $want, join ' ', "outputs of $operator", map { ref ? () : $_ } @set);
    }
}

done_testing;
