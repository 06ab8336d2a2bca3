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
use AI::MXNet::Contrib::ONNX::Wire;

needs_operators(qw(FullyConnected Convolution BatchNorm Pooling Concat clip));

my $dir = tempdir(CLEANUP => 1);
my $onnx = 'AI::MXNet::Contrib::ONNX';

# A graph goes into a file; ONNX Runtime, and the graph that is read back from it, compute what is wanted.
sub survives
{
    my ($name, $net, $params, $x, $want, $tolerance) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $file = "$dir/net.onnx";
    $onnx->export_model($net, $params, [$x->shape], 'float32', $file);
    my ($symbol, $back, $states) = $onnx->import_model($file);
    my $again = $symbol->bind(args => { %$back, data => $x }, aux_states => $states)->forward(0)->[0];
    cmp_ok(off_by($again, $want), '<', 1e-6, "$name comes back");
    return agrees($name, $file, { data => $x }, [$want], $tolerance);
}

# The same of an operator or two, with random numbers for all that they take.
sub travels
{
    my ($name, $net, $shape) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $exec = $net->simple_bind(shapes => { data => $shape }, grad_req => 'null');
    my ($args, $states) = ($exec->arg_dict, $exec->aux_dict);
    for my $param (sort keys %$args, keys %$states) {
        my $array = $args->{$param} // $states->{$param};
        $array .= mx->nd->random->uniform(low => 0.1, high => 0.9, shape => $array->shape);
    }
    my $x = mx->nd->random->uniform(low => -1, high => 1, shape => $shape);
    my $want = $exec->forward(0, data => $x)->[0];
    my %params = map { $_ => $args->{$_} } grep { !/^data$|label$/ } keys %$args;
    return survives($name, $net, { %params, %$states }, $x, $want, 1e-5);
}

mx->random->seed(7);
my $x = mx->sym->Variable('data');
my %image = (kernel => [3, 3], num_filter => 4);
my $conv = mx->sym->Convolution($x, %image, pad => [1, 1], stride => [2, 2], name => 'conv');
my @images = (
    conv => $conv,
    groups => mx->sym->Convolution($x, %image, num_group => 2, dilate => [2, 2], no_bias => 1, name => 'conv'),
    deconv => mx->sym->Deconvolution($x, %image, stride => [2, 2], adj => [1, 1], name => 'deconv'),
    norm => mx->sym->BatchNorm($x, fix_gamma => 0, name => 'norm'),
    fixed => mx->sym->BatchNorm($x, eps => 1e-5, name => 'norm'),
    instance => mx->sym->InstanceNorm($x, name => 'norm'),
    max => mx->sym->Pooling($x, kernel => [3, 3], stride => [2, 2], pool_type => 'max', pooling_convention => 'full'),
    average => mx->sym->Pooling($x, kernel => [2, 2], pad => [1, 1], stride => [2, 2], pool_type => 'avg'),
    inner => mx->sym->Pooling($x, kernel => [2, 2], pad => [1, 1], pool_type => 'avg', count_include_pad => 0),
    global => mx->sym->Pooling($x, kernel => [1, 1], global_pool => 1, pool_type => 'avg'),
    concat => mx->sym->Concat($x, $x * 2, dim => 1),
    flat => mx->sym->FullyConnected(mx->sym->Dropout(mx->sym->Flatten($x)), num_hidden => 3, name => 'fc'),
    prelu => mx->sym->LeakyReLU($x, act_type => 'prelu', name => 'prelu'),
    lrn => mx->sym->LRN($x, nsize => 3),
    turned => mx->sym->transpose($x, axes => [0, 2, 3, 1]),
    reshaped => mx->sym->Reshape($x, shape => [0, -1]),
    halves => mx->sym->Concat(@{ mx->sym->SliceChannel($x, num_outputs => 2, axis => 1) }, dim => 2),
    slice => mx->sym->slice_axis($x, axis => 2, begin => 1, end => 4),
    squeezed => mx->sym->squeeze(mx->sym->expand_dims($x, axis => 1), axis => 1),
);
travels(splice(@images, 0, 2), [2, 4, 7, 7]) while @images;

my @lines = (
    rows => mx->sym->FullyConnected($x, num_hidden => 3, flatten => 0, no_bias => 1, name => 'fc'),
    softmax => mx->sym->SoftmaxOutput(mx->sym->FullyConnected($x, num_hidden => 3, name => 'fc'), name => 'softmax'),
    (map { $_ => mx->sym->Activation($x, act_type => $_) } qw(relu sigmoid tanh softrelu softsign)),
    (map { $_ => mx->sym->LeakyReLU($x, act_type => $_, slope => 0.3) } qw(leaky elu selu)),
    (map { $_ => mx->sym->$_($x * 0.25 + 0.5) } qw(exp log sqrt square negative abs)),
    (map { $_ => mx->sym->$_($x, axis => 1, keepdims => 1) } qw(sum mean max min)),
    clip => mx->sym->clip($x, a_min => -0.5, a_max => 0.25),
    numbers => 1 - 2 / (($x + 3)**2),
    arrays => mx->sym->broadcast_mul($x + mx->sym->sqrt($x * $x), mx->sym->Variable('scale', shape => [1, 5])),
    product => mx->sym->dot($x, mx->sym->Variable('w', shape => [2, 5]), transpose_b => 1),
    log_softmax => mx->sym->log_softmax($x),
);
travels(splice(@lines, 0, 2), [3, 5]) while @lines;

# -- activations as layers

{
    my @layers = (
        nn->ELU(0.7), nn->SELU, nn->Swish, nn->PReLU, nn->LeakyReLU(0.2), map { nn->Activation($_) } qw(relu softsign)
    );
    for my $layer (@layers) {
        $layer->initialize;
        my %params = map { $_->name => $_->data } $layer->collect_params->values;
        my $x = mx->nd->random->uniform(low => -2, high => 2, shape => [3, 5]);
        survives("$layer" =~ s/\W.*//sr, $layer->(mx->sym->var('data')), \%params, $x, $layer->($x), 1e-5);
    }
}

# -- the model zoo

for my $name (families()) {
    my ($net, $x) = (network($name), picture($name, 2));
    my %params = map { $_->name => $_->data } $net->collect_params->values;
    survives($name, $net->(mx->sym->var('data')), \%params, $x, $net->($x), 1e-4);
}

# -- what cannot be

dies_with(
    sub { $onnx->export_model(mx->sym->gamma($x, name => 'g'), {}, [[1]], 'float32', "$dir/no") },
    qr/^export_model: operator gamma of node g is not supported/,
    'an operator without a rule'
);
dies_with(
    sub { $onnx->export_model($conv, {}, [[1, 3, 4, 4]], 'float32', "$dir/no") },
    qr/^export_model: got 1 input shapes, want 3/,
    'parameters that are missing'
);
my $bytes = AI::MXNet::Contrib::ONNX::Wire::encode(Dimension => { dim_value => -3 });
is_deeply(AI::MXNet::Contrib::ONNX::Wire::decode(Dimension => $bytes), { dim_value => -3 }, 'a negative number');
is(unpack('H*', AI::MXNet::Contrib::ONNX::Wire::encode(Dimension => { dim_value => 300 })),
    '08ac02', 'and one of two bytes');
dies_with(
    sub { AI::MXNet::Contrib::ONNX::Wire::decode(Model => "\x3a\x7fabc") },
    qr/^ONNX: the file ends in the middle of a field/,
    'a file that is cut off'
);

done_testing;
