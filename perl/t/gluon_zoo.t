use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon::ModelZoo qw(get_model);

needs_operators(qw(FullyConnected Convolution Pooling BatchNorm));

# Every network: how many parameters, and how many numbers they hold; the counts are those of the papers' tables.
my %want = (
    'alexnet' => [16, 61_100_840],
    'squeezenet1.0' => [52, 1_248_424],
    'squeezenet1.1' => [52, 1_235_496],
    'vgg11' => [22, 132_863_336],
    'vgg16_bn' => [84, 138_374_440],
    'resnet18_v1' => [102, 11_699_112],
    'resnet34_v2' => [178, 21_811_380],
    'densenet121' => [606, 8_062_504],
    'mobilenet1.0' => [137, 4_253_864],
    'mobilenet0.25' => [137, 475_544],
    'mobilenetv2_1.0' => [266, 3_539_136],
    'inceptionv3' => [472, 23_869_000],
);
for my $name (sort keys %want) {
    my $net = get_model($name);
    my $size = $name eq 'inceptionv3' ? 299 : 224;
    my $out = $net->(mx->sym->var('data'));
    my ($arguments, $outputs, $aux) = $out->infer_shape(data => [1, 3, $size, $size]);
    my $sum = -3 * $size**2;
    for my $shape (@$arguments, @$aux) {
        my $elements = 1;
        $elements *= $_ for @$shape;
        $sum += $elements;
    }
    is(scalar($net->collect_params->keys), $want{$name}[0], "$name: parameters");
    is($sum, $want{$name}[1], 'numbers in them');
    is_deeply($outputs, [[1, 1000]], 'and 1000 classes');
}

# The names in published files.
{
    my $net = get_model('resnet18_v1');
    my %keys = map { $_ => 1 } $net->_collect_params_with_prefix->keys;
    ok($keys{$_}, $_)
        for qw(features.0.weight features.1.running_mean features.4.0.body.0.weight features.5.0.downsample.0.weight
        features.7.1.body.4.gamma output.weight);
    my $v2 = get_model('resnet50_v2');
    %keys = map { $_ => 1 } $v2->_collect_params_with_prefix->keys;
    ok($keys{$_}, $_) for qw(features.0.beta features.5.0.bn3.gamma features.6.0.downsample.weight output.bias);
}

# Small pictures through a small network, trained for a few steps: so many that normalisation by the batch does not multiply rounding.
{
    my $net = AI::MXNet::Gluon->model_zoo->vision->get_resnet(1, 18, classes => 3, thumbnail => 1);
    $net->initialize(mx->init->Xavier);
    my $x = nd->random->uniform(0, 1, shape => [6, 3, 16, 16]);
    my $loss = AI::MXNet::Gluon->loss->SoftmaxCELoss();
    my $trainer = AI::MXNet::Gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.01 });
    my @losses;
    for (1 .. 4) {
        my $l;
        autograd->record(sub { $l = $loss->($net->($x), nd->array([0, 2, 1, 0, 1, 2])) });
        $l->backward;
        $trainer->step(6);
        push @losses, $l->mean->asscalar;
    }
    cmp_ok($losses[-1], '<', $losses[0] / 10, "training makes the loss less: @losses");
    my $dir = tempdir(CLEANUP => 1);
    $net->save_parameters("$dir/net");
    my $again = AI::MXNet::Gluon->model_zoo->vision->get_resnet(1, 18, classes => 3, thumbnail => 1);
    $again->load_parameters("$dir/net");
    is_close($again->($x), $net->($x), 'saved and loaded it gives the same');
}

# -- the store

{
    my $dir = tempdir(CLEANUP => 1);
    local $ENV{MXNET_GLUON_REPO} = 'http://127.0.0.1:9/';
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    dies_with(
        sub { get_model('resnet18_v1', pretrained => 1, root => $dir) },
        qr/Or put resnet18_v1-a0666292\.params, unpacked, into \Q$dir\E/,
        'without a network it says where the file belongs'
    );
    like($warned[0], qr/Model file is not found\. Downloading\./, 'and that it looks for it');
    open my $out, '>', "$dir/x-1.params" or die $!;
    close $out or die $!;
    AI::MXNet::Gluon::ModelZoo::ModelStore->purge($dir);
    ok(!-e "$dir/x-1.params", 'purge removes files');
    dies_with(sub { get_model('nosuchnet') }, qr/Model nosuchnet is not present in the zoo/, 'no such network');
}

done_testing;
