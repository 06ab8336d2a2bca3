use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use Runtime;
use Zoo;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);
use AI::MXNet::Contrib::ONNX;

# Files whose nodes compute sizes from the shapes of their inputs, which may be open.

needs_operators(qw(RNN broadcast_like broadcast_axis take));

my $dir = tempdir(CLEANUP => 1);
my $onnx = 'AI::MXNet::Contrib::ONNX';

sub whole { return mx->nd->array([@_], dtype => 'int64') }
sub uniform { return mx->nd->random->uniform(-1, 1, shape => [@_]) }

# The graph of a file computes this, for inputs of several sizes, and so does ONNX Runtime.
sub computes
{
    my ($name, $model, @runs) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $file = written("$dir/net.onnx", %$model);
    my ($symbol, $args, $states) = $onnx->import_model($file);
    while (my ($inputs, $want) = splice @runs, 0, 2) {
        my $got = $symbol->bind(args => { %$args, %$inputs }, aux_states => $states)->forward(0)->[0];
        $want //= $got;
        is_deeply($got->shape, $want->shape, "$name: the shape");
        cmp_ok(off_by($got, $want), '<', 1e-6, "$name: the numbers");
        agrees($name, $file, $inputs, [$want], 1e-5);
    }
    return;
}

mx->random->seed(5);

# x.reshape(x.shape[0], -1)
my ($x, $y) = (uniform(2, 3, 4), uniform(5, 3, 4));
my %flat = (
    nodes => [
        [Shape => ['x'], ['shape']],
        [Gather => ['shape', 'first'], ['rows'], axis => 0],
        [Unsqueeze => ['rows', 'zero'], ['row_list']],
        [Concat => ['row_list', 'rest'], ['sizes'], axis => 0],
        [Reshape => ['x', 'sizes'], ['y']]
    ],
    tensors => { first => whole(0), zero => whole(0), rest => whole(-1) },
    scalars => ['first'],
    outputs => [[y => ['n', 12]]]
);
computes(
    'rows of an open number',
    { %flat, inputs => [[x => ['n', 3, 4]]] },
    { x => $x } => $x->reshape([2, 12]),
    { x => $y } => $y->reshape([5, 12])
);
computes('rows of a number that is told', { %flat, inputs => [[x => [2, 3, 4]]] }, { x => $x } => $x->reshape([2, 12]));

# States of zeros for as many sequences as there are.
{
    my %net = (
        nodes => [
            [Shape => ['x'], ['shape']],
            [Slice => [qw(shape one two)], ['batch']],
            [Concat => [qw(one batch four)], ['sizes'], axis => 0],
            [Expand => [qw(none sizes)], ['begin']],
            [GRU => ['x', 'W', 'R', '', '', 'begin'], ['all'], hidden_size => 4, linear_before_reset => 1],
            [Squeeze => ['all', 'one'], ['y']]
        ],
        tensors => {
            one => whole(1),
            two => whole(2),
            four => whole(4),
            none => mx->nd->zeros([1, 1, 1]),
            W => uniform(1, 12, 3),
            R => uniform(1, 12, 4)
        },
        inputs => [[x => ['t', 'n', 3]]],
        outputs => [[y => ['t', 'n', 4]]]
    );
    computes('states', \%net, map { { x => uniform(@$_) } => undef } [5, 2, 3], [4, 6, 3]);
}

# A row for each of the data.
{
    my %net = (
        nodes => [
            [Shape => ['x'], ['shape']],
            [Slice => [qw(shape zero one)], ['rows']],
            [Concat => [qw(rows one one)], ['sizes'], axis => 0],
            [Expand => [qw(row sizes)], ['copies']],
            [Concat => [qw(copies x)], ['y'], axis => 1]
        ],
        tensors => { one => whole(1), zero => whole(0) },
        inputs => [[x => ['n', 3, 4]], [row => [2, 4]]],
        outputs => [[y => ['n', 5, 4]]]
    );
    my $row = uniform(2, 4);
    computes('copies', \%net, { x => $y, row => $row } => undef);
}

# Places of words, counted up to as many as there are.
{
    my $table = uniform(9, 4);
    my %net = (
        nodes => [
            [Shape => ['x'], ['shape']],
            [Gather => [qw(shape first)], ['words'], axis => 0],
            [Range => [qw(zero words first)], ['places']],
            [Gather => [qw(table places)], ['rows'], axis => 0],
            [Add => [qw(x rows)], ['y']]
        ],
        tensors => { table => $table, first => whole(1), zero => whole(0) },
        scalars => [qw(first zero)],
        inputs => [[x => ['n', 't', 4]]],
        outputs => [[y => ['n', 't', 4]]]
    );
    computes(
        'places',
        \%net,
        map {
            my $in = uniform(@$_);
            my $rows = $table->slice([0, $_->[1] - 1])->expand_dims(axis => 0);
            ({ x => $in } => mx->nd->broadcast_add($in, $rows))
        } [2, 5, 4],
        [3, 7, 4]
    );
}

# Attention: products of many matrices, a mask, and what follows them.
{
    my %net = (
        nodes => [
            [Transpose => ['x'], ['turned'], perm => [0, 1, 3, 2]],
            [MatMul => [qw(x turned)], ['products']],
            [Where => [qw(mask products low)], ['masked']],
            [Softmax => ['masked'], ['weights'], axis => -1],
            [MatMul => [qw(weights x)], ['mean']],
            [LayerNormalization => [qw(mean scale shift)], ['normed'], axis => -1],
            [HardSwish => ['normed'], ['y']]
        ],
        tensors => {
            low => mx->nd->array([-1e30]),
            scale => uniform(4),
            shift => uniform(4)
        },
        version => 17,
        inputs => [[x => [2, 3, 5, 4]], [flags => [2, 1, 1, 5]]],
        outputs => [[y => [2, 3, 5, 4]]]
    );
    unshift @{ $net{nodes} }, [Greater => [qw(flags none)], ['mask']];
    $net{tensors}{none} = mx->nd->zeros([1]);
    my $flags = mx->nd->array([[[[1, 1, 1, 0, 0]]], [[[1, 1, 1, 1, 0]]]]);
    computes('attention', \%net, { x => uniform(2, 3, 5, 4), flags => $flags } => undef);
}

# Parts of an axis: of several lengths, every other, one.
for my $case (
    [
        'parts',
        [[Split => [qw(x parts)], [qw(a y)], axis => 1]],
        { parts => whole(1, 2) },
        $x->slice_axis(axis => 1, begin => 1, end => 3)
    ],
    [
        'every other',
        [[Slice => [qw(x begin end axis step)], ['y']]],
        { begin => whole(0), end => whole(2**31 - 1), axis => whole(-1), step => whole(2) },
        $x->slice(begin => [0, 0, 0], end => [2, 3, 4], step => [1, 1, 2])
    ],
    [
        'the last',
        [[Gather => [qw(x at)], ['y'], axis => 1]],
        { at => whole(-1) },
        $x->slice_axis(axis => 1, begin => 2, end => 3)->reshape([2, 4])
    ]
    )
{
    my ($name, $nodes, $tensors, $want) = @$case;
    computes(
        $name,
        {
            nodes => $nodes,
            tensors => $tensors,
            scalars => ['at'],
            inputs => [[x => [2, 3, 4]]],
            outputs => [[y => $want->shape]]
        },
        { x => $x } => $want
    );
}

# -- what cannot be

my $file = written(
    "$dir/no.onnx",
    nodes => [[Shape => ['x'], ['shape']], [Reshape => [qw(x turned)], ['y']]],
    tensors => {},
    inputs => [[x => ['n', 't', 4]], [turned => [3], 'int64']],
    outputs => [[y => ['t', 'n', 4]]]
);
dies_with(
    sub { $onnx->import_model($file) },
    qr/^import_model: Reshape y computes input 1, which must be a tensor of the file/,
    'a shape that is data'
);

# Pictures made larger.
{
    my $x = uniform(2, 3, 4, 5);
    my $f32 = sub { mx->nd->array([@_]) };
    my $resized = sub {
        my ($inputs, $tensors, %a) = @_;
        return {
            nodes => [[Resize => $inputs, ['y'], %a]],
            tensors => $tensors,
            inputs => [[x => [2, 3, 4, 5]]],
            outputs => [[y => ['n', 'c', 'h', 'w']]]
        };
    };
    my $thrice = $x->repeat(repeats => 2, axis => 2)->repeat(repeats => 3, axis => 3);
    my $by = { scales => $f32->(1, 1, 2, 3) };
    computes('nearest', $resized->(['x', '', 'scales'], $by), { x => $x } => $thrice);
    computes(
        'nearest, by the floor',
        $resized->(
            ['x', '', 'scales'], $by,
            coordinate_transformation_mode => 'asymmetric',
            nearest_mode => 'floor'
        ),
        { x => $x } => $thrice
    );
    computes(
        'nearest, to sizes',
        $resized->(['x', '', '', 'sizes'], { sizes => whole(2, 3, 8, 15) }),
        { x => $x } => $thrice
    );
    computes(
        "linear, $_->[0]",
        $resized->(
            ['x', '', 'scales'],
            { scales => $f32->(1, 1, 1.5, 2) },
            mode => 'linear',
            coordinate_transformation_mode => $_->[0]
        ),
        { x => $x } => mx->nd->contrib->BilinearResize2D($x, height => 6, width => 10, align_corners => $_->[1])
    ) for [half_pixel => 0], [align_corners => 1];
    # Whatever size a picture has.
    for my $mode (qw(nearest linear)) {
        my %open = (%{ $resized->(['x', '', 'scales'], { scales => $f32->(1, 1, 2, 3) }, mode => $mode) });
        $open{inputs} = [[x => ['n', 3, 'height', 'width']]];
        my @of = map { uniform(@$_) } [2, 3, 4, 5], [1, 3, 7, 2];
        computes("$mode, open", \%open, map { { x => $_ } => undef } @of);
    }
    my $sized = $resized->(['x', '', '', 'sizes'], { sizes => whole(2, 3, 8, 15) }, mode => 'linear');
    computes('linear, to sizes', $sized, { x => $x } => undef);
    my $open = written("$dir/net.onnx", %$sized, inputs => [[x => ['n', 3, 'height', 'width']]]);
    ok(!eval { $onnx->import_model($open); 1 }, 'to sizes from open ones is refused');
    like($@, qr/height or width is open/, 'with a reason');
    my $file = written("$dir/net.onnx", %{ $resized->(['x', '', 'scales'], $by, mode => 'cubic') });
    ok(!eval { $onnx->import_model($file); 1 }, 'cubic is refused');
    like($@, qr/Resize .* by cubic \(half_pixel\) is not supported/, 'with a reason');
}

# Products of stacks of matrices that are broadcast, one of them of an open number.
for my $case (
    [[2, 1, 4, 5], [3, 5, 6], [2, 3, 4, 6]],
    [[4, 5], [3, 5, 6], [3, 4, 6]],
    [[1, 4, 5], ['n', 5, 6], ['n', 4, 6], 7],
    [[1, 3, 4, 5], ['n', 1, 5, 6], ['n', 3, 4, 6], 2]
    )
{
    my ($left, $right, $out, $count) = @$case;
    my ($x, $y) = map {
        uniform(map { /^\d/ ? $_ : $count } @$_)
    } $left, $right;
    my $want;
    if (@{ $x->shape } <= 3 and @{ $y->shape } == 3) {
        my $all = $y->shape->[0];
        $want = mx->nd->batch_dot($x->reshape([1, 4, 5])->broadcast_to([$all, 4, 5]), $y);
    }
    computes(
        "MatMul of [@$left] and [@$right]",
        {
            nodes => [[MatMul => ['a', 'b'], ['y']]],
            inputs => [[a => $left], [b => $right]],
            outputs => [[y => $out]]
        },
        { a => $x, b => $y } => $want
    );
}

# The approximation by tanh.
computes(
    'gelu by tanh',
    {
        nodes => [[Gelu => ['x'], ['y'], approximate => 'tanh']],
        inputs => [[x => [4, 5]]],
        outputs => [[y => [4, 5]]],
        version => 20
    },
    { x => uniform(4, 5) * 3 } => undef
);

done_testing;
