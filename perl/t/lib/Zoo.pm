package Zoo;
use strict;
use warnings;
use Exporter qw(import);
use AI::MXNet qw(mx);
use AI::MXNet::Gluon::ModelZoo qw(get_model);

our @EXPORT = qw(families network picture off_by);

# One network of each family of the model zoo, small, and the smallest picture that its pooling takes.
my %size = (
    'resnet18_v1' => 64,
    'resnet18_v2' => 64,
    'mobilenet0.25' => 64,
    'mobilenetv2_0.25' => 64,
    'squeezenet1.1' => 209,
    'vgg11' => 32,
    'densenet121' => 221,
    'alexnet' => 63,
    'inceptionv3' => 299,
);

sub families
{
    my @names = sort keys %size;
    return @names;
}

# With weights that keep signals alive, and normalization that does something.
sub network
{
    my $name = shift;
    my $net = get_model($name, classes => 10);
    $net->initialize(mx->init->Xavier(factor_type => 'in', magnitude => 6));
    $net->(picture($name, 1));
    my %range = (gamma => [0.5, 1.5], beta => [-0.2, 0.2], running_mean => [-0.2, 0.2], running_var => [0.5, 1.5]);
    for my $param ($net->collect_params->values) {
        my ($kind) = $param->name =~ /_(gamma|beta|running_mean|running_var)$/ or next;
        $param->set_data(mx->nd->random->uniform(@{ $range{$kind} }, shape => $param->shape));
    }
    return $net;
}

sub picture
{
    my ($name, $batch) = @_;
    return mx->nd->random->uniform(-1, 1, shape => [$batch, 3, ($size{$name}) x 2]);
}

# The largest difference, in units of the largest value that is wanted.
sub off_by
{
    my ($got, $want) = @_;
    my $largest = $want->abs->max->asscalar;
    die "nothing to compare with: the largest value is $largest\n" if not $largest > 0;
    return ($got - $want)->abs->max->asscalar / $largest;
}

1;
