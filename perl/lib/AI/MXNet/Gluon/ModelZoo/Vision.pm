package AI::MXNet::Gluon::ModelZoo::Vision;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon::ModelZoo::ModelStore;
use AI::MXNet::Gluon::ModelZoo::Vision::AlexNet;
use AI::MXNet::Gluon::ModelZoo::Vision::DenseNet;
use AI::MXNet::Gluon::ModelZoo::Vision::Inception;
use AI::MXNet::Gluon::ModelZoo::Vision::MobileNet;
use AI::MXNet::Gluon::ModelZoo::Vision::ResNet;
use AI::MXNet::Gluon::ModelZoo::Vision::SqueezeNet;
use AI::MXNet::Gluon::ModelZoo::Vision::VGG;

# Makes the networks for pictures: their sizes stand here, their layers in the classes.

# An object of the class; with pretrained its published parameters.
sub _make
{
    my ($class, $file, $named, %arg) = @_;
    my ($pretrained, $ctx, $root) = delete @arg{qw(pretrained ctx root)};
    my $net = "AI::MXNet::Gluon::ModelZoo::Vision::$class"->new(%$named, %arg);
    if ($pretrained) {
        my $path = AI::MXNet::Gluon::ModelZoo::ModelStore->get_model_file($file, defined $root ? (root => $root) : ());
        $net->load_parameters($path, ctx => $ctx // AI::MXNet::Context->cpu);
    }
    return $net;
}

sub _of
{
    my ($table, $key, $what) = @_;
    return $table->{$key}
        // AI::MXNet::Keshi::fail("Invalid $what: $key. Options are " . join ' ', sort { $a <=> $b } keys %$table);
}

# -- plain

sub alexnet { my ($self, @args) = @_; return _make(AlexNet => 'alexnet', {}, @args) }
sub inception_v3 { my ($self, @args) = @_; return _make('Inception::V3' => 'inceptionv3', {}, @args) }

# -- VGG: convolutions per stage

my %vgg = (
    11 => [1, 1, 2, 2, 2],
    13 => [2, 2, 2, 2, 2],
    16 => [2, 2, 3, 3, 3],
    19 => [2, 2, 4, 4, 4],
);

sub get_vgg
{
    my ($self, $layers, %arg) = @_;
    my $file = "vgg$layers" . ($arg{batch_norm} ? '_bn' : '');
    return _make(VGG => $file, { layers => _of(\%vgg, $layers, 'number of layers') }, %arg);
}

# -- ResNet: kind of block, blocks per stage, channels

my @basic = (64, 64, 128, 256, 512);
my @bottleneck = (64, 256, 512, 1024, 2048);
my %resnet = (
    18 => ['Basic', [2, 2, 2, 2], \@basic],
    34 => ['Basic', [3, 4, 6, 3], \@basic],
    50 => ['Bottleneck', [3, 4, 6, 3], \@bottleneck],
    101 => ['Bottleneck', [3, 4, 23, 3], \@bottleneck],
    152 => ['Bottleneck', [3, 8, 36, 3], \@bottleneck],
);

sub get_resnet
{
    my ($self, $version, $layers, @args) = @_;
    AI::MXNet::Keshi::fail("Invalid resnet version: $version. Options are 1 and 2") if $version !~ /^[12]$/;
    my ($block, $stages, $channels) = @{ _of(\%resnet, $layers, 'number of layers') };
    return _make(
        "ResNet::V$version" => "resnet${layers}_v$version",
        { block => $block, layers => $stages, channels => $channels }, @args
    );
}

# -- DenseNet: first channels, growth, layers per block

my %densenet = (
    121 => [64, 32, [6, 12, 24, 16]],
    161 => [96, 48, [6, 12, 36, 24]],
    169 => [64, 32, [6, 12, 32, 32]],
    201 => [64, 32, [6, 12, 48, 32]],
);

sub get_densenet
{
    my ($self, $layers, @args) = @_;
    my ($first, $growth, $blocks) = @{ _of(\%densenet, $layers, 'number of layers') };
    return _make(
        DenseNet => "densenet$layers",
        { num_init_features => $first, growth_rate => $growth, block_config => $blocks }, @args
    );
}

# -- SqueezeNet and MobileNet: versions and widths

sub get_squeezenet
{
    my ($self, $version, @args) = @_;
    AI::MXNet::Keshi::fail("Unsupported SqueezeNet version $version: 1.0 or 1.1 expected") if $version !~ /^1\.[01]$/;
    return _make(SqueezeNet => "squeezenet$version", { version => $version }, @args);
}

# The width as it stands in names.
sub _width { return $_[0] == 1 ? '1.0' : 0 + $_[0] }

sub get_mobilenet
{
    my ($self, $multiplier, @args) = @_;
    return _make(MobileNet => 'mobilenet' . _width($multiplier), { multiplier => $multiplier }, @args);
}

sub get_mobilenet_v2
{
    my ($self, $multiplier, @args) = @_;
    return _make(MobileNetV2 => 'mobilenetv2_' . _width($multiplier), { multiplier => $multiplier }, @args);
}

# -- one method for each network

{
    my %method;
    for my $layers (keys %vgg) {
        $method{"vgg$layers"} = [get_vgg => $layers];
        $method{"vgg${layers}_bn"} = [get_vgg => $layers, batch_norm => 1];
    }
    for my $layers (keys %resnet) {
        $method{"resnet${layers}_v$_"} = [get_resnet => $_, $layers] for 1, 2;
    }
    $method{"densenet$_"} = [get_densenet => $_] for keys %densenet;
    $method{"squeezenet1_$_"} = [get_squeezenet => "1.$_"] for 0, 1;
    for my $multiplier (1, 0.75, 0.5, 0.25) {
        my $digits = _width($multiplier) =~ tr/./_/r;
        $method{"mobilenet$digits"} = [get_mobilenet => $multiplier];
        $method{"mobilenet_v2_$digits"} = [get_mobilenet_v2 => $multiplier];
    }
    for my $name (keys %method) {
        my ($get, @first) = @{ $method{$name} };
        no strict 'refs';
        *$name = sub { my ($self, @args) = @_; return __PACKAGE__->$get(@first, @args) };
    }
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::ModelZoo::Vision - networks for pictures

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $vision = gluon->model_zoo->vision;
    my $net = $vision->resnet18_v1(classes => 10);
    my $small = $vision->get_resnet(1, 18, classes => 10, thumbnail => 1);    # for pictures of 32 by 32
    print ref $net, ' ', scalar(@{ $small->features }), " parts\n";

=head1 DESCRIPTION

Each network of L<AI::MXNet::Gluon::ModelZoo> is a method here, with underscores for the dots of its name: C<squeezenet1_0>,
C<mobilenet0_25>, C<mobilenet_v2_1_0>, C<inception_v3>. Those that come in sizes have a method for any:
C<get_vgg($layers, batch_norm =E<gt> 0)>, C<get_resnet($version, $layers, thumbnail =E<gt> 0)>, C<get_densenet($layers)>,
C<get_squeezenet($version)>, C<get_mobilenet($multiplier)> and C<get_mobilenet_v2($multiplier)>.

A network has two parts, C<features> and C<output>. Its first layers come first in both, so that published files of parameters
load.

=cut
