package AI::MXNet::Gluon::ModelZoo;
use 5.014;
use strict;
use warnings;
use AI::MXNet;
use AI::MXNet::Keshi;
use AI::MXNet::Gluon;
use AI::MXNet::Gluon::ModelZoo::Vision;

# Networks that are known by a name.

# The short names come along: scripts use mx, gluon and nn without importing them.
sub import
{
    my ($class, @names) = @_;
    AI::MXNet::NS::alias(mx => 'AI::MXNet');
    my $caller = caller;
    for my $name (@names) {
        AI::MXNet::Keshi::fail("$class does not export $name, but get_model") if $name ne 'get_model';
        no strict 'refs';
        *{"${caller}::get_model"} = \&get_model;
    }
    return;
}

# Under this name too.
sub AI::MXNet::Gluon::ModelZoo::Vision::get_model { return get_model(@_) }

sub vision { return 'AI::MXNet::Gluon::ModelZoo::Vision' }

my %by_name;
{
    my $vision = vision();
    for my $layers (18, 34, 50, 101, 152) {
        $by_name{"resnet${layers}_v$_"} = "resnet${layers}_v$_" for 1, 2;
    }
    for my $layers (11, 13, 16, 19) {
        $by_name{"vgg$layers$_"} = "vgg$layers$_" for '', '_bn';
    }
    $by_name{"densenet$_"} = "densenet$_" for 121, 161, 169, 201;
    $by_name{"squeezenet1.$_"} = "squeezenet1_$_" for 0, 1;
    for my $multiplier (qw(1.0 0.75 0.5 0.25)) {
        my $digits = $multiplier =~ tr/./_/r;
        $by_name{"mobilenet$multiplier"} = "mobilenet$digits";
        $by_name{"mobilenetv2_$multiplier"} = "mobilenet_v2_$digits";
    }
    $by_name{alexnet} = 'alexnet';
    $by_name{inceptionv3} = 'inception_v3';
}

# A function, and a method too.
sub get_model
{
    my ($name, @args) = @_;
    ($name, @args) = @args if @_ % 2 == 0;
    my $method = $by_name{ lc($name // '') }
        or AI::MXNet::Keshi::fail("Model @{[$name // 'undef']} is not present in the zoo, want one of " . join ', ',
        sort keys %by_name);
    return vision()->$method(@args);
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::ModelZoo - networks by name

=head1 SYNOPSIS

    use AI::MXNet::Gluon::ModelZoo qw(get_model);
    my $net = get_model('squeezenet1.1', classes => 10);
    print scalar($net->collect_params->keys), " parameters\n";

=head1 DESCRIPTION

C<get_model($name, %args)> makes a network: C<alexnet>, C<squeezenet1.0> and C<squeezenet1.1>, C<inceptionv3>,
C<vgg11 vgg13 vgg16 vgg19> with and without C<_bn>, C<resnet18_v1> to C<resnet152_v2>, C<densenet121 densenet161 densenet169
densenet201>, C<mobilenet1.0 mobilenet0.75 mobilenet0.5 mobilenet0.25> and the same as C<mobilenetv2_1.0> and so on.

Batch normalisation begins with running means of 1, as MXNet's does: outside training fresh networks answer little or, the ResNets of
version 2, nothing, until they have been trained, or have loaded parameters.

They take C<classes>, and C<< pretrained => 1 >> with C<root> and C<ctx>, which loads published parameters; see
L<AI::MXNet::Gluon::ModelZoo::ModelStore> for where the files belong. The functions behind the names are methods of
C<< gluon->model_zoo->vision >>, see L<AI::MXNet::Gluon::ModelZoo::Vision>.

=cut
